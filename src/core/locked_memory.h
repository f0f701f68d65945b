// Large host memory that a GPU reads at the speed of the bus.
#pragma once

#include <cstddef>

#include "core/context.h"

namespace sparsevid {

/// Page-locked where `device` is a GPU; plain memory otherwise.
class LockedMemory {
 public:
  /// The pages are made by all of the context's threads and locked then: the driver alone, asked
  /// for locked memory, makes them with one.
  LockedMemory(std::size_t bytes, Device device, const Context& context);
  ~LockedMemory();
  LockedMemory(LockedMemory&& other) noexcept;
  LockedMemory& operator=(LockedMemory&&) = delete;

  std::byte* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }

 private:
  std::byte* data_;
  std::size_t bytes_;
  Device device_;
};

}  // namespace sparsevid
