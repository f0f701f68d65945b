// Large host memory to a GPU at the speed of the bus.
#pragma once

#include <array>

#include "core/context.h"
#include "core/tensor.h"

namespace sparsevid {

/// Within host memory, by all threads.
void copy_on_host(void* to, const void* from, std::size_t bytes, int threads);

/// Goes through two pieces of page-locked memory in turn: while one is on its way, the other is
/// filled by all threads. Pageable memory, such as a mapped file, would reach a third of the speed.
class HostToDevice {
 public:
  explicit HostToDevice(const Context& context);
  ~HostToDevice();
  HostToDevice(const HostToDevice&) = delete;
  HostToDevice& operator=(const HostToDevice&) = delete;

  /// Contiguous views of one shape and type. On return `from` has been read; `to` is filled in
  /// stream order.
  void copy(const TensorView& from, const TensorView& to);

 private:
  struct Piece {
    void* memory = nullptr;
    void* event = nullptr;  // recorded behind the copy out of it
  };
  const Context& context_;
  std::array<Piece, 2> pieces_;
  std::size_t next_ = 0;
};

}  // namespace sparsevid
