// What a launch needs from the context, and what is asked after it.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/context.h"

namespace sparsevid::ops::cuda {

inline cudaStream_t stream_of(const Context& context) {
  return static_cast<cudaStream_t>(context.stream);
}

/// Throws Error(internal) that names the op; for the status of any runtime call.
void check(cudaError_t status, std::string_view op);
/// The status of the launch before; what a kernel does wrong later shows at the next wait.
inline void check_launch(std::string_view op) { check(cudaGetLastError(), op); }

/// Lets each block of the kernel ask for so many bytes of shared memory.
template <typename... Arguments>
void allow_shared_memory(void (*kernel)(Arguments...), std::size_t bytes, std::string_view op) {
  check(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                             cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes)),
        op);
}

/// Of the device in use, read once.
struct DeviceFacts {
  int compute_capability;  ///< 90 for 9.0
  int multiprocessors;
  int shared_memory_per_block;  ///< bytes a block can get when it asks
  int l2_bytes;
};
const DeviceFacts& device_facts();

template <typename T>
constexpr T ceil_div(T a, T b) {
  return (a + b - 1) / b;
}

}  // namespace sparsevid::ops::cuda
