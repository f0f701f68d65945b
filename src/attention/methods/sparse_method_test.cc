// What all methods share: padding, the dense limit, dense steps and layers, statistics.
#include "attention/methods/sparse_method.h"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <string>

#include "attention/default_options.h"
#include "attention/methods/attention_example.h"
#include "attention/methods/dense.h"
#include "attention/methods/semantic_tail.h"
#include "attention/methods/spatiotemporal.h"
#include "testing/compare.h"

namespace sparsevid {
namespace {

const char* const kSparse[] = {"svg1", "svg2", "semantic-tail"};

AttentionOptions options_of(std::string_view method) {
  AttentionOptions options = default_options(method, "", 320);
  options.dense_steps = 0;
  options.dense_layers = 0;
  options.min_tokens = 0;
  options.query_clusters = 8;
  options.key_clusters = 16;
  options.top_p.reset();
  options.density = .3;
  return options;
}

std::unique_ptr<AttentionMethod> make(const AttentionOptions& options,
                                      AttentionFacts facts = {8, 10}) {
  if (options.method == "svg1") return std::make_unique<SpatiotemporalAttention>(options, facts);
  if (options.method == "svg2") return std::make_unique<SemanticAttention>(options, facts);
  return std::make_unique<SemanticTailAttention>(options, facts);
}

Tensor dense_output(const ExampleShape& shape) {
  const AttentionExample example(shape);
  Context context;
  DenseAttention().run(example.call(), example.out(), context);
  return clone(example.out());
}

TEST(DenseAttention, is_softmax_attention) {
  for (const auto& shape : {ExampleShape{}, ExampleShape{.batch = 2, .text_before = 5},
                            ExampleShape{.head_dim = 64, .dtype = DType::bf16}}) {
    const AttentionExample example(shape);
    Context context;
    DenseAttention().run(example.call(), example.out(), context);
    for (int batch = 0; batch < shape.batch; ++batch) {
      const HeadsCall call = example.heads(batch);
      EXPECT_TRUE(close(
          call.out,
          exact_attention(call.q, call.k, call.v, call.scale, [](auto, auto, auto) { return 0.0; }),
          output_tolerance(shape.dtype)));
    }
  }
}

TEST(DenseAttention, lets_padding_attend_only_to_itself) {
  for (const bool pad_between : {false, true}) {
    const ExampleShape shape{.text_after = 6, .pad_after = 10};
    AttentionExample example(shape);
    AttentionCall call = example.call();
    TokenLayout layout = example.layout();
    if (pad_between) {
      // video, padding, text: the tokens that stay have to be moved together.
      layout.segments = {{Role::video, 0, 120}, {Role::pad, 120, 10}, {Role::text, 130, 6}};
    }
    const AttentionCall with_layout{call.q, call.k, call.v, layout, call.scale, 0, 0, 0};
    Context context;
    DenseAttention().run(with_layout, example.out(), context);
    const int pad = pad_between ? 120 : 126;
    const auto is_pad = [&](std::int64_t token) { return token >= pad && token < pad + 10; };
    const Tensor exact =
        exact_attention(call.q[0], call.k[0], call.v[0], call.scale,
                        [&](auto, auto i, auto j) { return is_pad(i) == is_pad(j) ? 0.0 : -1e30; });
    EXPECT_TRUE(close(example.out()[0], exact, output_tolerance(DType::f32)));
  }
}

TEST(SparseMethod, equals_dense_bit_for_bit_when_everything_is_to_be_computed) {
  for (const auto& shape :
       {ExampleShape{}, ExampleShape{.batch = 2, .text_before = 5, .pad_after = 7},
        ExampleShape{.head_dim = 64, .dtype = DType::bf16}}) {
    const Tensor expected = dense_output(shape);
    for (const auto* method : kSparse) {
      for (const bool mass : {false, true}) {
        if (mass && std::string(method) == "svg1") continue;
        SCOPED_TRACE(method);
        AttentionOptions options = options_of(method);
        options.density.reset();
        (mass ? options.top_p : options.density) = 1;
        const AttentionExample example(shape);
        Context context;
        const auto made = make(options);
        made->run(example.call(), example.out(), context);
        EXPECT_TRUE(bit_equal(example.out(), expected));
        EXPECT_EQ(made->stats().density(), 1);
      }
    }
  }
}

TEST(SparseMethod, comes_close_to_dense_as_the_density_rises) {
  const ExampleShape shape{.heads = 2, .grid = {5, 8, 8}, .text_after = 9, .head_dim = 32};
  const Tensor expected = dense_output(shape);
  for (const auto* method : kSparse) {
    SCOPED_TRACE(method);
    double last = 1e9;
    for (const double density : {.25, .6, .9}) {
      AttentionOptions options = options_of(method);
      options.density = density;
      const AttentionExample example(shape);
      Context context;
      make(options)->run(example.call(), example.out(), context);
      const double error = relative_error(example.out(), expected);
      EXPECT_LT(error, last) << density;
      last = error;
    }
  }
}

TEST(SparseMethod, keeps_padding_apart) {
  for (const auto* method : kSparse) {
    SCOPED_TRACE(method);
    const AttentionExample padded({.text_after = 6, .pad_after = 10});
    Context context;
    make(options_of(method))->run(padded.call(), padded.out(), context);
    const Tensor before = clone(padded.out());
    // Other values in the padding change the padding's output and nothing else.
    const AttentionCall call = padded.call();
    for (std::int64_t h = 0; h < 2; ++h)
      for (std::int64_t i = 126; i < 136; ++i)
        for (std::int64_t d = 0; d < 16; ++d) call.v[0][h][i].as<float>()[d] += 3;
    make(options_of(method))->run(call, padded.out(), context);
    EXPECT_TRUE(bit_equal(padded.out().slice(2, 0, 126), before->slice(2, 0, 126)));
    EXPECT_GT(relative_error(padded.out().slice(2, 126, 10), before->slice(2, 126, 10)), .1);
  }
}

TEST(SparseMethod, stays_dense_in_the_first_steps_and_layers_and_on_short_videos) {
  const Tensor expected = dense_output({});
  for (const auto* method : kSparse) {
    SCOPED_TRACE(method);
    AttentionOptions options = options_of(method);
    options.dense_steps = .2;
    options.dense_layers = .25;
    const auto made = make(options);
    const auto is_dense = [&](AttentionMethod& m, int step, int layer) {
      const AttentionExample example({});
      Context context;
      m.run(example.call(step, layer), example.out(), context);
      const bool equal = bit_equal(example.out(), expected);
      EXPECT_EQ(m.stats().calls.back().dense, equal);
      return equal;
    };
    EXPECT_TRUE(is_dense(*made, 1, 7));
    EXPECT_TRUE(is_dense(*made, 5, 1));
    EXPECT_FALSE(is_dense(*made, 2, 2));
    EXPECT_LT(made->stats().sparse_density(), .5);
    EXPECT_NEAR(made->stats().density(), (2 + made->stats().sparse_density()) / 3, 1e-12);
    options.min_tokens = 121;
    EXPECT_TRUE(is_dense(*make(options), 5, 5));
  }
}

TEST(SparseMethod, reports_seconds_by_zone) {
  for (const auto* method : kSparse) {
    const AttentionExample example({});
    Context context;
    make(options_of(method))->run(example.call(), example.out(), context);
    EXPECT_GT(context.profile.seconds("attention.kernel"), 0) << method;
    EXPECT_GE(context.profile.seconds("attention"), context.profile.seconds("attention.kernel") +
                                                        context.profile.seconds("attention.score"))
        << method;
  }
}

TEST(SparseMethod, attends_in_8_bits_where_it_is_asked_to_but_in_bands) {
  for (const auto* method : kSparse) {
    SCOPED_TRACE(method);
    for (const bool dense : {false, true}) {
      AttentionOptions options = options_of(method);
      options.in_8bit = true;
      if (dense) options.dense_steps = 1;
      const AttentionExample example({});
      Context context;
      make(options)->run(example.call(), example.out(), context);
      const bool band = !dense && options.method == "svg1";
      const char* op = dense ? "op.attention_8bit.ref" : "op.block_sparse_attention_8bit.ref";
      EXPECT_EQ(context.profile.seconds(op) > 0, !band);
    }
  }
}

TEST(SparseMethod, measures_its_quality_on_request) {
  for (const auto* method : kSparse) {
    SCOPED_TRACE(method);
    AttentionOptions options = options_of(method);
    options.quality_rows = 1000;  // more than there are: every query
    const ExampleShape shape{.text_after = 5};
    const AttentionExample example(shape);
    Context context;
    const auto made = make(options);
    made->run(example.call(), example.out(), context);
    const AttentionQuality& quality = made->stats().quality;
    EXPECT_EQ(quality.recall.size(), 2u * 125u);
    EXPECT_GT(quality.recall_percentile(0), 0);
    EXPECT_LT(quality.mean_recall(), 1);
    const HeadsCall call = example.heads();
    const Tensor exact =
        exact_attention(call.q, call.k, call.v, call.scale, [](auto, auto, auto) { return 0.0; });
    EXPECT_NEAR(quality.mean_relative_error(), relative_error(call.out, exact), 1e-6);
  }
}

TEST(SparseMethod, has_full_recall_where_the_mask_hides_nothing) {
  AttentionOptions options = options_of("svg2");
  options.density.reset();
  options.top_p = .999999;
  options.min_clusters = 1;
  options.quality_rows = 50;
  const AttentionExample example({});
  Context context;
  const auto made = make(options);
  made->run(example.call(), example.out(), context);
  EXPECT_NEAR(made->stats().quality.recall_percentile(0), 1, 1e-12);
  EXPECT_LT(made->stats().quality.mean_relative_error(), 1e-5);
}

}  // namespace
}  // namespace sparsevid
