// Cases of band attention, for its test and its benchmark.
#pragma once

#include <ostream>
#include <vector>

#include "ops/attention_cases.h"
#include "ops/band_attention.h"
#include "ops/band_density.h"

namespace sparsevid::ops {

struct BandCase {
  const char* name;
  int frames;
  int positions;
  std::int64_t width;
  std::int64_t head_dim = 64;
  int before = 0;  ///< tokens before the video
  int behind = 0;
  DType dtype = DType::bf16;
  bool seq_first = false;
  std::int64_t heads = 2;  ///< alternately in frame-major and in position-major order
};
inline std::ostream& operator<<(std::ostream& out, const BandCase& c) { return out << c.name; }

/// Small enough for the reference.
inline const std::vector<BandCase>& band_test_cases() {
  static const std::vector<BandCase> cases = {
      {"typical", 7, 90, 100},
      {"typical_f32", 7, 90, 100, 64, 0, 0, DType::f32},
      {"wan", 5, 67, 61, 128, 0, 0, DType::bf16, true},
      {"wan_text", 7, 60, 75, 128, 7, 50, DType::bf16, true},
      {"many_frames", 33, 20, 90, 128, 0, 20, DType::bf16, true},
      {"wan_frames", 21, 35, 90, 128, 0, 0, DType::bf16, true},
      {"long_band", 9, 90, 300, 128, 0, 5, DType::bf16, true},
      {"tiny_heads", 4, 15, 9, 12},
      {"text_behind", 5, 66, 50, 64, 0, 13},
      {"text_before_f32", 5, 66, 50, 64, 21, 0, DType::f32},
      {"text_around", 5, 66, 50, 64, 3, 300},
      {"diagonal", 6, 50, 0},
      {"narrow", 9, 40, 3, 64, 1, 1},
      {"one_frame", 1, 130, 20, 64, 0, 5},
      {"one_position", 130, 1, 20, 64, 0, 5},
      {"wider_than_the_video", 4, 50, 1000, 64, 2, 2},
      {"one_token", 1, 1, 0},
  };
  return cases;
}

/// The demo's size, and the models' at the widths of their default densities.
inline const std::vector<BandCase>& band_bench_cases() {
  static const std::vector<BandCase> cases = {
      {"demo_30", 13, 400, 849, 64, 0, 0, DType::bf16, true, 4},
      {"wan_14b_720p", 21, 3600, 12349, 128, 0, 0, DType::bf16, true, 8},
      {"hunyuan_720p_text", 33, 3600, 15622, 128, 0, 256, DType::bf16, true, 8},
      {"cosmos_704p", 16, 3520, 7546, 128, 0, 0, DType::bf16, true, 8},
  };
  return cases;
}

/// The tensors of a case; `params.out` is uninitialised.
struct BandInputs {
  explicit BandInputs(const BandCase& c)
      : dense({c.name, c.heads, seq_len(c), seq_len(c), c.head_dim, c.dtype, 1, c.seq_first}),
        temporal(DType::u8, {c.heads}) {
    for (std::int64_t head = 0; head < c.heads; ++head)
      temporal->as<std::uint8_t>()[head] = static_cast<std::uint8_t>(head % 2);
    params.q = dense.params.q;
    params.k = dense.params.k;
    params.v = dense.params.v;
    params.out = dense.params.out;
    params.scale = dense.params.scale;
    params.video_begin = c.before;
    params.frames = c.frames;
    params.positions = c.positions;
    params.temporal = temporal;
    params.width = c.width;
  }
  static std::int64_t seq_len(const BandCase& c) {
    return c.before + c.behind + static_cast<std::int64_t>(c.frames) * c.positions;
  }
  /// Share of the pairs that are computed, over all heads.
  static double density(const BandCase& c) {
    const auto of = [&](bool temporal) {
      return band_density(c.frames, c.positions, c.width, c.before + c.behind, temporal);
    };
    const std::int64_t heads_over_time = c.heads / 2;
    return of(false) + static_cast<double>(heads_over_time) / static_cast<double>(c.heads) *
                           (of(true) - of(false));
  }
  AttentionInputs dense;
  Tensor temporal;
  BandAttentionParams params;
};

}  // namespace sparsevid::ops
