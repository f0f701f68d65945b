// Where memory lives and kernels run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace sparsevid {

enum class Device : std::uint8_t { cpu, cuda };

constexpr std::string_view to_string(Device device) {
  return device == Device::cpu ? "cpu" : "cuda";
}

/// Why no NVIDIA GPU can be used: built without CUDA, no driver, no device. Empty when one can.
std::string cuda_unavailable();
/// "NVIDIA H200, compute capability 9.0, 139.8 GiB"; only where cuda_unavailable() is empty.
std::string cuda_device_name();

/// 90 for 9.0; 0 where there is no GPU.
int cuda_compute_capability();

/// Bytes of the GPU that nobody has taken, and all it has.
struct DeviceMemory {
  std::size_t free;
  std::size_t total;
};
DeviceMemory cuda_memory();

/// Memory of a device, aligned to 64 bytes or more, uninitialised. Throws Error(out_of_memory) that
/// says how much was asked for and, for a GPU, how much is free.
void* allocate_memory(Device device, std::size_t bytes);
void release_memory(Device device, void* memory);
/// How often GPU memory was asked for in this process, and the bytes held now and at most.
struct DeviceAllocations {
  long count;
  std::size_t bytes;
  std::size_t peak_bytes;
};
DeviceAllocations cuda_allocations();

/// A queue of GPU work, in order; the default one where none was made. On the CPU it means nothing.
using Stream = void*;

/// Copies between and within devices, in stream order. Returns when `from` may be changed, if it is
/// on the CPU; and when `to` has arrived, if that is on the CPU.
void copy_memory(void* to, Device to_device, const void* from, Device from_device,
                 std::size_t bytes, Stream stream);
/// Fills with zero bytes, in stream order.
void clear_memory(void* memory, Device device, std::size_t bytes, Stream stream);
/// Waits for all work of the stream; an error of an earlier kernel is thrown here.
void wait_for(Device device, Stream stream);

}  // namespace sparsevid
