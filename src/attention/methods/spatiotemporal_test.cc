#include "attention/methods/spatiotemporal.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "attention/default_options.h"
#include "attention/methods/attention_example.h"
#include "ops/band_density.h"
#include "ops/band_mask.h"
#include "testing/compare.h"

namespace sparsevid {
namespace {

constexpr double kHidden = -std::numeric_limits<double>::infinity();

const ExampleShape kShapes[] = {
    {.name = "video_only", .grid = {6, 5, 6}},
    {.name = "text_first", .grid = {6, 5, 6}, .text_before = 9},
    {.name = "text_last", .grid = {6, 5, 6}, .text_after = 13},
    {.name = "batch_2", .batch = 2, .text_after = 4},
    {.name = "one_frame", .grid = {1, 9, 11}},
    {.name = "odd_sizes", .heads = 3, .grid = {3, 7, 5}, .head_dim = 33},
    {.name = "bf16", .grid = {4, 8, 8}, .head_dim = 64, .dtype = DType::bf16},
    {.name = "constant_input", .constant = true},
    {.name = "one_token", .grid = {1, 1, 1}},
};

AttentionOptions options_of(double density) {
  AttentionOptions options = default_options("svg1", "", 320);
  options.dense_steps = 0;
  options.dense_layers = 0;
  options.min_tokens = 0;
  options.density = density;
  options.profile_rows = 1 << 16;  // all queries, so that the choice of band is the statement's
  return options;
}

Tensor under(const HeadsCall& call, const ops::BandMask& mask) {
  return exact_attention(call.q, call.k, call.v, call.scale,
                         [&](auto, auto i, auto j) { return mask.sees(i, j) ? 0 : kHidden; });
}

/// Per head the output under the band whose error over the video is smaller.
Tensor statement(const HeadsCall& call, double density) {
  const std::int64_t frames = call.grid[0];
  const std::int64_t positions = call.video.length / frames;
  const double text = static_cast<double>(call.text_tokens());
  const double all = static_cast<double>(call.tokens());
  const double left = std::max(0.0, density - 2 * text / all);
  const auto width = static_cast<std::int64_t>(std::ceil((all - text) * (1 - std::sqrt(1 - left))));
  const Tensor exact =
      exact_attention(call.q, call.k, call.v, call.scale, [](auto, auto, auto) { return 0; });
  Tensor masked[2];
  for (const bool temporal : {false, true})
    masked[temporal] = under(call, {call.video.begin, frames, positions, width, temporal});
  Tensor result(DType::f64, call.q.shape());
  for (std::int64_t h = 0; h < call.heads(); ++h) {
    const auto video = [&](const Tensor& t) {
      return t.view()[h].slice(0, call.video.begin, call.video.length);
    };
    const bool temporal = relative_error(video(masked[1]), video(exact)) <
                          relative_error(video(masked[0]), video(exact));
    for (std::int64_t i = 0; i < call.tokens() * call.q.size(2); ++i)
      result.view()[h].as<double>()[i] = masked[temporal].view()[h].as<double>()[i];
  }
  return result;
}

TEST(SpatiotemporalAttention, is_its_statement_in_double) {
  for (const double density : {.2, .35, .6}) {
    for (const auto& shape : kShapes) {
      SCOPED_TRACE(shape.name);
      const AttentionExample example(shape);
      Context context;
      SpatiotemporalAttention method(options_of(density), {1, 1});
      method.run(example.call(), example.out(), context);
      for (int batch = 0; batch < shape.batch; ++batch)
        EXPECT_TRUE(close(example.out()[batch], statement(example.heads(batch), density),
                          output_tolerance(shape.dtype)));
    }
  }
}

TEST(SpatiotemporalAttention, names_each_head_by_a_sample_of_its_queries) {
  // Keys that repeat in every frame: a query finds its match at its own position in all frames.
  ExampleShape shape{.heads = 2, .grid = {8, 6, 6}, .head_dim = 16};
  const AttentionExample example(shape);
  const AttentionCall call = example.call();
  const Tensor patterns = random_tensor({36, 16}, 9, DType::f32, {.scale = 2});
  for (std::int64_t token = 0; token < 288; ++token)
    for (std::int64_t d = 0; d < 16; ++d) {
      const float value = patterns.view()[token % 36].as<float>()[d];
      call.q[0][0][token].as<float>()[d] = value;
      call.k[0][0][token].as<float>()[d] = value;
    }
  AttentionOptions options = options_of(.25);
  options.profile_rows = 16;
  Context context;
  SpatiotemporalAttention method(options, {1, 1});
  method.run(call, example.out(), context);
  const HeadsCall heads = example.heads();
  const Tensor temporal = under(heads, {0, 8, 36, band_width(.25, 288, 0), true});
  EXPECT_TRUE(close(heads.out[0], temporal.view()[0], output_tolerance(DType::f32)));
}

TEST(BandWidth, gives_the_share_of_pairs_asked_for_before_the_sink) {
  // |i - j| <= w of N tokens are about N^2 (1 - (1 - w/N)^2) pairs.
  const std::int64_t width = band_width(.3, 10000, 0);
  EXPECT_NEAR(static_cast<double>(width), 10000 * (1 - std::sqrt(.7)), 1);
  EXPECT_EQ(band_width(1, 500, 0), 500);
  EXPECT_EQ(band_width(.1, 1000, 100), 0) << "the text alone passes the budget";
  EXPECT_LT(band_width(.3, 1000, 50), band_width(.3, 1000, 0));
}

TEST(BandDensity, counts_the_pairs_of_the_mask) {
  for (const bool temporal : {false, true}) {
    for (const std::int64_t width : {0, 1, 7, 20, 59, 1000}) {
      const ops::BandMask mask{5, 6, 10, width, temporal};
      double pairs = 0;
      for (int i = 0; i < 68; ++i)
        for (int j = 0; j < 68; ++j) pairs += mask.sees(i, j) ? 1 : 0;
      EXPECT_DOUBLE_EQ(ops::band_density(6, 10, width, 8, temporal), pairs / (68 * 68));
    }
  }
}

}  // namespace
}  // namespace sparsevid
