// Memory of either device; what needs the CUDA runtime stands in cuda_runtime.h's two forms.
#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include "core/cuda_runtime.h"
#include "core/device.h"

namespace sparsevid {
namespace {

constexpr std::size_t kAlignment = 64;
constexpr std::size_t kHugePage = std::size_t{2} << 20;

}  // namespace

void* allocate_memory(Device device, std::size_t bytes) {
  if (device == Device::cuda) return cuda_runtime::allocate(bytes);
  const std::size_t alignment = bytes < kHugePage ? kAlignment : kHugePage;
  const std::size_t rounded = std::max(alignment, (bytes + alignment - 1) / alignment * alignment);
  void* memory = std::aligned_alloc(alignment, rounded);
  if (memory == nullptr) throw std::bad_alloc();
  // Rows that an order scatters over memory are found faster in few large pages. Only a hint.
  if (alignment == kHugePage) madvise(memory, rounded, MADV_HUGEPAGE);
  return memory;
}

void release_memory(Device device, void* memory) {
  if (device == Device::cuda) {
    cuda_runtime::release(memory);
  } else {
    std::free(memory);
  }
}

void copy_memory(void* to, Device to_device, const void* from, Device from_device,
                 std::size_t bytes, Stream stream) {
  if (bytes == 0) return;
  if (to_device == Device::cpu && from_device == Device::cpu) {
    std::memcpy(to, from, bytes);
  } else {
    cuda_runtime::copy(to, to_device, from, from_device, bytes, stream);
  }
}

void clear_memory(void* memory, Device device, std::size_t bytes, Stream stream) {
  if (bytes == 0) return;
  if (device == Device::cuda) {
    cuda_runtime::clear(memory, bytes, stream);
  } else {
    std::memset(memory, 0, bytes);
  }
}

void wait_for(Device device, Stream stream) {
  if (device == Device::cuda) cuda_runtime::wait(stream);
}

}  // namespace sparsevid
