// Copies to a device that run beside the work of the context's stream.
#pragma once

#include "core/device.h"

namespace sparsevid {

/// A point in a stream of a device. On the CPU, where everything is done when a call returns, it
/// means nothing.
class StreamMark {
 public:
  explicit StreamMark(Device device);
  ~StreamMark();
  StreamMark(StreamMark&& other) noexcept;
  StreamMark& operator=(StreamMark&&) = delete;

  void set(Stream stream);
  /// What is queued in the stream from now on begins after the mark; one never set holds up
  /// nothing.
  void hold_up(Stream stream) const;

 private:
  void* event_ = nullptr;
};

class CopyQueue {
 public:
  explicit CopyQueue(Device device);
  /// Waits for the copies that are under way.
  ~CopyQueue();
  CopyQueue(const CopyQueue&) = delete;
  CopyQueue& operator=(const CopyQueue&) = delete;

  Stream stream() const { return stream_; }
  /// From page-locked host memory; returns at once.
  void copy(void* to, const void* from_locked, std::size_t bytes);

 private:
  Device device_;
  Stream stream_ = nullptr;
};

}  // namespace sparsevid
