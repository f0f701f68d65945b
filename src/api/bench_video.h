// Queries, keys and values as a video model's: for the benchmark of attention methods.
#pragma once

#include <array>
#include <cstdint>

#include "core/tensor.h"

namespace sparsevid {

/// [1, tokens, heads, head_dim]; `grid` is frames, height and width. Each head is smooth over the
/// grid in a few of its dimensions, eight waves up to about one period over the clip, with noise of
/// half their size on each element.
///
/// Normal data has no clusters: of 128 that k-means makes of 16,384 such rows an eighth are nearly
/// empty, and the sizes of the others vary by half. Of this data as of queries and keys of the
/// bundled model at 15,925 tokens none are; sizes vary by .3 of their mean (the model's by .15 to
/// .36), clusters explain .65 to .7 of the variance (.53 to .87), and the best quarter of the keys
/// holds .7 of the attention (.44 to 1).
Tensor video_tensor(const std::array<int, 3>& grid, std::int64_t heads, std::int64_t head_dim,
                    std::uint64_t seed, DType dtype);

}  // namespace sparsevid
