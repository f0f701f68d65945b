#include "ops/cuda/common/launch.h"

#include "base/error.h"

namespace sparsevid::ops::cuda {

void check(cudaError_t status, std::string_view op) {
  if (status != cudaSuccess)
    fail(ErrorKind::internal, "{}: cuda: {}", op, cudaGetErrorString(status));
}

const DeviceFacts& device_facts() {
  static const DeviceFacts facts = [] {
    const auto attribute = [](cudaDeviceAttr which) {
      int value = 0;
      check(cudaDeviceGetAttribute(&value, which, 0), "device");
      return value;
    };
    return DeviceFacts{attribute(cudaDevAttrComputeCapabilityMajor) * 10 +
                           attribute(cudaDevAttrComputeCapabilityMinor),
                       attribute(cudaDevAttrMultiProcessorCount),
                       attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin),
                       attribute(cudaDevAttrL2CacheSize)};
  }();
  return facts;
}

}  // namespace sparsevid::ops::cuda
