// Under SPARSEVID_HOST_TENSORS_ON=cuda the tests of this program check the GPU's kernels. Where
// there is no GPU they are skipped, with the reason.
#include <gtest/gtest.h>

#include <cstdlib>

#include "core/device.h"

namespace sparsevid::ops {
namespace {

class GpuOrSkip : public ::testing::Environment {
 public:
  void SetUp() override {
    if (std::getenv("SPARSEVID_HOST_TENSORS_ON") == nullptr) return;
    const std::string reason = cuda_unavailable();
    if (!reason.empty()) GTEST_SKIP() << reason;
  }
};

const ::testing::Environment* const kGpuOrSkip = ::testing::AddGlobalTestEnvironment(new GpuOrSkip);

}  // namespace
}  // namespace sparsevid::ops
