// Cases of dense attention, for its test and its benchmark.
#pragma once

#include <cmath>
#include <limits>
#include <ostream>
#include <vector>

#include "ops/attention.h"
#include "testing/random_tensor.h"

namespace sparsevid::ops {

struct AttentionCase {
  const char* name;
  std::int64_t heads;
  std::int64_t q_len;
  std::int64_t k_len;
  std::int64_t head_dim;
  DType dtype = DType::bf16;
  double logits = 1;         ///< standard deviation of the scaled logits
  bool seq_first = false;    ///< memory is [rows, heads, head_dim], as the models have it
  bool bias = false;         ///< one for each head, query and key
  std::int64_t masked = -1;  ///< keys masked at the end by key_bias; -1: no key_bias
};
inline std::ostream& operator<<(std::ostream& out, const AttentionCase& c) { return out << c.name; }

/// Small enough for the reference.
inline const std::vector<AttentionCase>& attention_test_cases() {
  static const std::vector<AttentionCase> cases = {
      {"one_token", 1, 1, 1, 64},
      {"one_query", 2, 1, 130, 64},
      {"one_key", 2, 67, 1, 64},
      {"odd", 3, 131, 197, 64},
      {"odd_f32", 3, 131, 197, 64, DType::f32},
      {"tiny_heads", 2, 70, 45, 12},
      {"tiny_heads_f32", 2, 70, 45, 12, DType::f32},
      {"odd_head_dim", 2, 33, 50, 7},
      {"odd_head_dim_f32", 2, 33, 50, 7, DType::f32},
      {"head_dim_16", 2, 130, 140, 16},
      {"head_dim_80", 2, 40, 111, 80},
      {"head_dim_120", 2, 130, 140, 120},
      {"head_dim_256", 2, 130, 140, 256, DType::bf16, 1, true},
      {"wan", 2, 300, 333, 128, DType::bf16, 1, true},
      {"wan_f32", 2, 300, 333, 128, DType::f32, 1, true},
      {"several_tiles", 1, 1111, 700, 64, DType::bf16, 1, true},
      {"cross", 3, 530, 12, 64, DType::bf16, 1, true},
      {"cross_weighted", 2, 300, 65, 128, DType::bf16, 1, true, false, 0},
      {"text_64", 5, 401, 64, 128, DType::bf16, 1, true},
      {"text_65", 40, 130, 65, 128, DType::bf16, 1, true, false, 3},
      {"text_128", 3, 1100, 128, 128, DType::bf16, 2, false, false, 0},
      {"text_150", 2, 333, 150, 128, DType::bf16, 1, true, false, 149},
      {"text_300", 3, 333, 300, 128, DType::bf16, 1, true, false, 200},
      {"text_512", 2, 500, 512, 128, DType::bf16, 1, true},
      {"text_many_heads", 300, 65, 33, 128},
      {"text_one_query", 2, 1, 20, 128, DType::bf16, 1, false, false, 1},
      {"text_all_masked", 2, 70, 60, 128, DType::bf16, 1, false, false, 60},
      {"text_all_of_300_masked", 2, 70, 300, 128, DType::bf16, 1, false, false, 300},
      {"text_huge_logits", 2, 90, 100, 128, DType::bf16, 3000},
      {"many_keys", 1, 130, 2100, 128, DType::bf16, 2, true},
      {"vae", 1, 150, 150, 384},
      {"vae_f32", 1, 150, 150, 384, DType::f32},
      {"umt5", 4, 77, 77, 64, DType::bf16, 3, true, true, 20},
      {"umt5_f32", 4, 77, 77, 64, DType::f32, 3, true, true, 20},
      {"biased_head_dim_128", 2, 130, 140, 128, DType::bf16, 1, true, true, 5},
      {"masked", 2, 50, 200, 64, DType::bf16, 1, false, false, 101},
      {"masked_many_keys", 1, 70, 700, 128, DType::bf16, 1, true, false, 101},
      {"nothing_masked", 2, 50, 200, 64, DType::bf16, 1, false, false, 0},
      {"masked_head_dim_384", 1, 90, 130, 384, DType::bf16, 1, false, false, 30},
      {"all_masked", 2, 50, 60, 64, DType::bf16, 1, false, false, 60},
      {"all_masked_f32", 2, 50, 60, 64, DType::f32, 1, false, false, 60},
      {"peaked", 2, 90, 400, 64, DType::bf16, 20},
      {"peaked_f32", 2, 90, 400, 64, DType::f32, 20},
      {"huge_logits", 2, 90, 400, 64, DType::bf16, 3000},
      {"huge_logits_f32", 2, 90, 400, 64, DType::f32, 3000},
  };
  return cases;
}

/// What the models ask for, and the case the speed target is stated for.
inline const std::vector<AttentionCase>& attention_bench_cases() {
  static const std::vector<AttentionCase> cases = {
      {"demo", 4, 5200, 5200, 64, DType::bf16, 1, true},
      {"demo_f32", 4, 5200, 5200, 64, DType::f32, 1, true},
      {"demo_cross", 4, 5200, 64, 64, DType::bf16, 1, true},
      {"umt5_xxl", 64, 512, 512, 64, DType::bf16, 1, true, true, 400},
      {"dense_16k", 8, 16384, 16384, 128, DType::bf16, 1, true},
      {"wan_1.3b_480p", 12, 32760, 32760, 128, DType::bf16, 1, true},
      {"wan_14b_720p", 40, 75600, 75600, 128, DType::bf16, 1, true},
      {"wan_14b_720p_cross", 40, 75600, 65, 128, DType::bf16, 1, true, false, 0},
      {"hunyuan_720p", 24, 119056, 119056, 128, DType::bf16, 1, true},
      {"cosmos_704p", 40, 56320, 56320, 128, DType::bf16, 1, true},
      {"cogvideox_1.5", 48, 45106, 45106, 64, DType::bf16, 1, true},
  };
  return cases;
}

/// [heads, rows, head_dim] of normal values, in either order of memory.
inline TensorView head_rows(const Tensor& memory, bool seq_first) {
  return seq_first ? memory.view().transpose(0, 1) : memory.view();
}
inline Shape head_rows_shape(std::int64_t heads, std::int64_t rows, std::int64_t head_dim,
                             bool seq_first) {
  return seq_first ? Shape{rows, heads, head_dim} : Shape{heads, rows, head_dim};
}

/// The tensors of a case; `params.out` is uninitialised.
struct AttentionInputs {
  explicit AttentionInputs(const AttentionCase& c)
      : q(random_tensor(head_rows_shape(c.heads, c.q_len, c.head_dim, c.seq_first), 1, c.dtype,
                        {.scale = c.logits})),
        k(random_tensor(head_rows_shape(c.heads, c.k_len, c.head_dim, c.seq_first), 2, c.dtype)),
        v(random_tensor(head_rows_shape(c.heads, c.k_len, c.head_dim, c.seq_first), 3, c.dtype)),
        out(c.dtype, head_rows_shape(c.heads, c.q_len, c.head_dim, c.seq_first)) {
    params.q = head_rows(q, c.seq_first);
    params.k = head_rows(k, c.seq_first);
    params.v = head_rows(v, c.seq_first);
    params.out = head_rows(out, c.seq_first);
    params.scale = 1 / std::sqrt(static_cast<double>(c.head_dim));
    if (c.bias) {
      bias = random_tensor({c.heads, c.q_len, c.k_len}, 4);
      params.bias = bias;
    }
    if (c.masked >= 0) {
      key_bias = random_tensor({c.k_len}, 5);
      for (std::int64_t j = c.k_len - c.masked; j < c.k_len; ++j)
        key_bias->as<float>()[j] = -std::numeric_limits<float>::infinity();
      params.key_bias = key_bias;
    }
  }
  Tensor q;
  Tensor k;
  Tensor v;
  Tensor out;
  Tensor bias;
  Tensor key_bias;
  AttentionParams params;
};

/// Relative error of the whole output that rounding explains. bf16: weights and output are rounded,
/// 2^-9 at most each, so 2^-9 sqrt(2/3) in norm; doubled. f32: sums of head_dim and of k_len terms.
/// Both: an f32 logit of size L is off by up to L 2^-22 (a sum of head_dim terms), and its weight
/// by as much, relatively; the largest of a few hundred logits is about 4 standard deviations.
inline double attention_tolerance(DType dtype, double logits) {
  return (dtype == DType::bf16 ? 0x1p-8 : 2e-6) + 4 * logits * 0x1p-22;
}

}  // namespace sparsevid::ops
