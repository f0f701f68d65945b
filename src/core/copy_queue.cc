#include "core/copy_queue.h"

#include <utility>

#include "core/cuda_runtime.h"

namespace sparsevid {

StreamMark::StreamMark(Device device)
    : event_(device == Device::cuda ? cuda_runtime::make_event() : nullptr) {}

StreamMark::~StreamMark() {
  if (event_ != nullptr) cuda_runtime::release_event(event_);
}

StreamMark::StreamMark(StreamMark&& other) noexcept
    : event_(std::exchange(other.event_, nullptr)) {}

void StreamMark::set(Stream stream) {
  if (event_ != nullptr) cuda_runtime::record_event(event_, stream);
}

void StreamMark::hold_up(Stream stream) const {
  if (event_ != nullptr) cuda_runtime::make_stream_wait(stream, event_);
}

CopyQueue::CopyQueue(Device device)
    : device_(device), stream_(device == Device::cuda ? cuda_runtime::make_stream() : nullptr) {}

CopyQueue::~CopyQueue() {
  if (device_ != Device::cuda) return;
  try {
    cuda_runtime::wait(stream_);
  } catch (...) {
    // A device that failed is found again by whoever waits for its results.
  }
  cuda_runtime::release_stream(stream_);
}

void CopyQueue::copy(void* to, const void* from_locked, std::size_t bytes) {
  copy_memory(to, device_, from_locked, Device::cpu, bytes, stream_);
}

}  // namespace sparsevid
