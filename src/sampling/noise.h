// Gaussian noise equal to PyTorch's CPU generator.
#pragma once

#include <cstdint>

#include "core/tensor.h"

namespace sparsevid {

/// Fills a contiguous f32 view of any size with what torch.randn(shape,
/// generator=torch.Generator("cpu").manual_seed(seed)) yields, to 1 ulp.
void torch_randn(std::uint64_t seed, const TensorView& out);

}  // namespace sparsevid
