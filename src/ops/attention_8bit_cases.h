// Cases of attention in 8 bits, for its test and its benchmark.
#pragma once

#include <cmath>
#include <ostream>
#include <vector>

#include "ops/attention_8bit.h"
#include "ops/attention_cases.h"

namespace sparsevid::ops {

/// How queries, keys and values are made of normal ones.
enum class Channels8bit {
  normal,
  large,    ///< three channels of queries and keys are 20 times as large
  shifted,  ///< every channel of keys and values has a mean, of size 4
};

/// Makes normal queries, keys and values so.
inline void set_channels(Channels8bit channels, const TensorView& q, const TensorView& k,
                         const TensorView& v) {
  const auto change = [](const TensorView& rows, const auto& of_channel) {
    for (std::int64_t head = 0; head < rows.size(0); ++head)
      for (std::int64_t row = 0; row < rows.size(1); ++row)
        for (std::int64_t d = 0; d < rows.size(2); ++d) {
          bf16& x = rows[head][row].as<bf16>()[d];
          x = bf16(of_channel(static_cast<float>(x), d));
        }
  };
  if (channels == Channels8bit::large)
    for (const auto& rows : {q, k})
      change(rows,
             [](float x, std::int64_t d) { return d == 5 || d == 40 || d == 77 ? 20 * x : x; });
  if (channels == Channels8bit::shifted)
    for (const auto& rows : {k, v})
      change(rows, [](float x, std::int64_t d) {
        return x + 4 * std::sin(1.7F * static_cast<float>(d));
      });
}

struct Attention8bitCase {
  const char* name;
  std::int64_t heads;
  std::int64_t q_len;
  std::int64_t k_len;
  std::int64_t head_dim = 128;
  double logits = 1;  ///< standard deviation of the scaled logits, of normal channels
  bool seq_first = true;
  Channels8bit channels = Channels8bit::normal;
};
inline std::ostream& operator<<(std::ostream& out, const Attention8bitCase& c) {
  return out << c.name;
}

inline const std::vector<Attention8bitCase>& attention_8bit_test_cases() {
  static const std::vector<Attention8bitCase> cases = {
      {"one_token", 1, 1, 1},
      {"one_query", 2, 1, 130},
      {"one_key", 2, 67, 1},
      {"odd", 3, 131, 197, 128, 1, false},
      {"one_tile", 1, 64, 192},
      {"one_key_over", 1, 128, 193},
      {"wan", 2, 300, 333},
      {"several_query_tiles", 3, 777, 400},
      {"flat", 2, 100, 700, 128, 0.1},
      {"peaked", 2, 90, 400, 128, 20},
      {"huge_logits", 2, 90, 400, 128, 3000},
      {"many_keys", 1, 130, 5100, 128, 2},
      {"shifted", 2, 130, 500, 128, 1, true, Channels8bit::shifted},
      {"head_dim_64", 3, 300, 777, 64},
      {"head_dim_64_odd", 2, 131, 197, 64, 1, false},
      {"head_dim_64_one_key", 2, 67, 1, 64},
      {"head_dim_64_peaked", 2, 90, 400, 64, 20},
      {"head_dim_64_many_keys", 1, 130, 5100, 64, 2},
      {"head_dim_64_shifted", 2, 130, 500, 64, 1, true, Channels8bit::shifted},
  };
  return cases;
}

inline const std::vector<Attention8bitCase>& attention_8bit_bench_cases() {
  static const std::vector<Attention8bitCase> cases = {
      {"wan_1.3b_480p", 12, 32760, 32760},
      {"wan_14b_720p", 40, 75600, 75600},
      {"cogvideox_1.5", 48, 45106, 45106, 64},
  };
  return cases;
}

struct Attention8bitInputs {
  explicit Attention8bitInputs(const Attention8bitCase& c)
      : of(AttentionCase{c.name, c.heads, c.q_len, c.k_len, c.head_dim, DType::bf16, c.logits,
                         c.seq_first}) {
    const auto& from = of.params;
    set_channels(c.channels, from.q, from.k, from.v);
    params = {from.q, from.k, from.v, from.out, from.scale};
  }
  AttentionInputs of;
  Attention8bitParams params;
};

/// Relative error of the whole output. Weights and values rounded to 3 mantissa bits: errors
/// uniform within 2^-4 of the power of two below, .018 to .036 relative, .026 in the mean, twice.
/// Queries and keys rounded to int8, at worst with one scale for keys whose largest number is 6
/// standard deviations: 6 / 127 / sqrt(12) = .014 of a logit's deviation, and half of it for
/// queries, and a weight is off by that, relatively; where few weights matter, as with large
/// logits, they are off together, so no more than as if they were exchanged, by sqrt(2). Then a
/// fifth on top, as an output of few keys is not the mean.
inline double attention_8bit_tolerance(double logits) {
  return 1.2 * std::min(std::sqrt(2.0), std::hypot(.026, .026, .016 * logits));
}

}  // namespace sparsevid::ops
