// How much of the true attention a sparse call kept, on sampled queries.
#pragma once

#include <cstdint>
#include <functional>

#include "attention/attention_stats.h"
#include "core/tensor.h"

namespace sparsevid {

struct QualitySample {
  TensorView q;    ///< [heads, seq_len, head_dim] f32 or bf16
  TensorView k;    ///< like q
  TensorView v;    ///< like q
  TensorView out;  ///< like q: what the method computed
  double scale;
};

/// Whether the method computed this pair of tokens of a head.
using Computed = std::function<bool(std::int64_t head, std::int64_t query, std::int64_t key)>;

/// Adds one recall for each of `rows` queries of each head, and one relative error of the output
/// over all of them, against softmax attention in fp64.
void measure_quality(const QualitySample& sample, int rows, std::uint64_t seed,
                     const Computed& computed, AttentionQuality& quality);

}  // namespace sparsevid
