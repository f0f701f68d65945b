#include "ops/band_profile.h"

#include <gtest/gtest.h>

#include <cmath>

#include "ops/band_attention.h"
#include "testing/compare.h"
#include "testing/random_tensor.h"

namespace sparsevid::ops {
namespace {

struct Case {
  const char* name;
  std::int64_t heads;
  std::int64_t text;
  int video_begin;
  int frames;
  int positions;
  std::int64_t head_dim;
  std::int64_t width;
  DType dtype;
};
const Case kCases[] = {
    {"video_only", 2, 0, 0, 6, 20, 16, 15, DType::f32},
    {"text_first", 2, 7, 7, 5, 23, 33, 11, DType::f32},
    {"text_last_bf16", 3, 9, 0, 5, 24, 64, 30, DType::bf16},
    {"one_frame", 1, 0, 0, 1, 50, 16, 3, DType::f32},
    {"longer_than_a_block", 2, 5, 0, 9, 70, 64, 90, DType::bf16},
    {"wide_heads_bf16", 2, 3, 3, 9, 70, 128, 100, DType::bf16},
    {"odd_head_dim_bf16", 2, 3, 3, 5, 30, 33, 20, DType::bf16},
    {"width_zero", 1, 0, 0, 4, 16, 8, 0, DType::f32},
};

/// Mean squared difference of the sampled rows of two outputs.
double error_of(const TensorView& a, const TensorView& b, const TensorView& rows) {
  double sum = 0;
  for (std::int64_t r = 0; r < rows.size(0); ++r) {
    const auto row = rows.as<std::int32_t>()[r];
    for (std::int64_t d = 0; d < a.size(1); ++d)
      sum += std::pow(element(a[row], d) - element(b[row], d), 2);
  }
  return sum / static_cast<double>(rows.size(0) * a.size(1));
}

TEST(BandProfile, measures_the_error_of_both_bands_on_the_sampled_queries) {
  for (const auto& c : kCases) {
    SCOPED_TRACE(c.name);
    const std::int64_t tokens = c.text + static_cast<std::int64_t>(c.frames) * c.positions;
    const Shape shape{tokens, c.heads, c.head_dim};
    const Tensor storage[3] = {random_tensor(shape, 1, c.dtype), random_tensor(shape, 2, c.dtype),
                               random_tensor(shape, 3, c.dtype)};
    const TensorView q = storage[0]->transpose(0, 1);
    const TensorView k = storage[1]->transpose(0, 1);
    const TensorView v = storage[2]->transpose(0, 1);
    const Tensor rows = random_integers({c.heads, 13}, 4, c.video_begin,
                                        c.video_begin + c.frames * c.positions - 1);
    const double scale = 1 / std::sqrt(static_cast<double>(c.head_dim));
    // The statement: band_attention's own reference in f32, with a width that hides nothing and
    // with the band of either kind.
    Tensor outputs[3];
    for (int kind = 0; kind < 3; ++kind) {
      outputs[kind] = Tensor(DType::f32, {c.heads, tokens, c.head_dim});
      const Tensor temporal = constant_tensor({c.heads}, kind == 1 ? 1 : 0, DType::u8);
      const Tensor qf = convert(q, DType::f32);
      const Tensor kf = convert(k, DType::f32);
      const Tensor vf = convert(v, DType::f32);
      Context context;
      band_attention_implementations().entries().back().run(
          {qf, kf, vf, c.video_begin, c.frames, c.positions, temporal, kind == 2 ? tokens : c.width,
           scale, outputs[kind]},
          context);
    }
    const Tensor expected(DType::f32, {c.heads, 2});
    for (std::int64_t h = 0; h < c.heads; ++h)
      for (int kind = 0; kind < 2; ++kind)
        expected.view()[h].as<float>()[kind] = static_cast<float>(
            error_of(outputs[kind].view()[h], outputs[2].view()[h], rows.view()[h]));
    const Tensor errors(DType::f32, {c.heads, 2});
    const Tensor temporal = constant_tensor({c.heads}, 9, DType::u8);
    const BandProfileParams params{q,           k,       v,     rows,   c.video_begin, c.frames,
                                   c.positions, c.width, scale, errors, temporal};
    for (const auto& entry : band_profile_implementations().entries()) {
      Context context;
      if (!entry.refusal(params, context).empty()) continue;
      SCOPED_TRACE(entry.name);
      entry.run(params, context);
      // Weights in bf16 differ by 2^-9 each, averaged over many.
      EXPECT_TRUE(close(errors, expected, c.dtype == DType::bf16 ? 1e-2 : 1e-4));
      for (std::int64_t h = 0; h < c.heads; ++h) {
        const auto* both = errors.view()[h].as<float>();
        EXPECT_EQ(temporal->as<std::uint8_t>()[h], both[1] < both[0] ? 1 : 0);
      }
    }
  }
}

}  // namespace
}  // namespace sparsevid::ops
