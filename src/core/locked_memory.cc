#include "core/locked_memory.h"

#include <cstring>
#include <utility>

#include "base/parallel.h"
#include "core/cuda_runtime.h"

namespace sparsevid {
namespace {

constexpr std::int64_t kBytesPerTask = std::int64_t{4} << 20;

}  // namespace

LockedMemory::LockedMemory(std::size_t bytes, Device device, const Context& context)
    : data_(static_cast<std::byte*>(allocate_memory(Device::cpu, bytes))),
      bytes_(bytes),
      device_(device) {
  if (device != Device::cuda) return;
  parallel_for(context.threads, static_cast<std::int64_t>(bytes), kBytesPerTask,
               [&](std::int64_t begin, std::int64_t end) {
                 std::memset(data_ + begin, 0, static_cast<std::size_t>(end - begin));
               });
  try {
    cuda_runtime::lock_pages(data_, bytes_);
  } catch (...) {
    release_memory(Device::cpu, data_);
    throw;
  }
}

LockedMemory::LockedMemory(LockedMemory&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), bytes_(other.bytes_), device_(other.device_) {}

LockedMemory::~LockedMemory() {
  if (data_ == nullptr) return;
  if (device_ == Device::cuda) cuda_runtime::unlock_pages(data_);
  release_memory(Device::cpu, data_);
}

}  // namespace sparsevid
