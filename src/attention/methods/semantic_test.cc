// svg2 and semantic-tail against their statement in double.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <memory>

#include "attention/default_options.h"
#include "attention/methods/semantic_statement.h"
#include "attention/methods/semantic_tail.h"
#include "testing/expect_error.h"

namespace sparsevid {
namespace {

const ExampleShape kShapes[] = {
    {.name = "video_only"},
    {.name = "text_first", .text_before = 9},
    {.name = "text_last", .text_after = 13},
    {.name = "text_on_both_sides", .text_before = 3, .text_after = 5},
    {.name = "batch_2", .batch = 2, .text_after = 4},
    {.name = "one_frame", .grid = {1, 9, 11}},
    {.name = "odd_sizes", .heads = 3, .grid = {3, 7, 5}, .head_dim = 33},
    {.name = "bf16", .grid = {4, 8, 8}, .head_dim = 64, .dtype = DType::bf16},
    {.name = "more_clusters_than_tokens", .grid = {1, 3, 4}},
    {.name = "constant_input", .constant = true},
    {.name = "one_token", .grid = {1, 1, 1}},
};

AttentionOptions options_of(std::string_view method) {
  AttentionOptions options = default_options(method, "", 320);
  options.dense_steps = 0;
  options.dense_layers = 0;
  options.min_tokens = 0;
  options.query_clusters = 7;
  options.key_clusters = 14;
  options.seed = 3;
  return options;
}

std::unique_ptr<AttentionMethod> method_of(const AttentionOptions& options) {
  if (options.method == "svg2")
    return std::make_unique<SemanticAttention>(options, AttentionFacts{1, 1});
  return std::make_unique<SemanticTailAttention>(options, AttentionFacts{1, 1});
}

void expect_the_statement(const AttentionOptions& options) {
  for (const auto& shape : kShapes) {
    SCOPED_TRACE(shape.name);
    const AttentionExample example(shape);
    Context context;
    const auto method = method_of(options);
    method->run(example.call(), example.out(), context);
    for (int batch = 0; batch < shape.batch; ++batch) {
      // The same seed gives the same clusters as the method's own.
      const HeadsCall call = example.heads(batch);
      Clustering clustering(options);
      ClusterHealth health;
      Readback readback;
      const Arena::Scope scope(context.arena);
      const SemanticStatement statement(options, call,
                                        clustering.update(call, {}, context, health, readback));
      EXPECT_TRUE(close(example.out()[batch], statement.output(), output_tolerance(shape.dtype)));
      for (std::int64_t h = 0; h < shape.heads; ++h)
        EXPECT_NEAR(method->stats().calls[0].head_density[batch * shape.heads + h],
                    statement.density(h), 1e-12);
    }
  }
}

TEST(SemanticAttention, with_top_p_is_its_statement_in_double) {
  expect_the_statement(options_of("svg2"));
}

TEST(SemanticAttention, with_a_budget_of_tokens_is_its_statement_in_double) {
  AttentionOptions options = options_of("svg2");
  options.top_p.reset();
  options.density = .4;
  expect_the_statement(options);
}

TEST(SemanticTailAttention, is_its_statement_in_double_for_every_combination_of_switches) {
  for (int switches = 0; switches < 16; ++switches) {
    SCOPED_TRACE(switches);
    AttentionOptions options = options_of("semantic-tail");
    options.density = .4;
    options.tail = (switches & 1) != 0;
    options.scores_from_queries = (switches & 2) != 0;
    options.error_per_token = (switches & 4) != 0;
    options.shared_threshold = (switches & 8) != 0;
    if (options.shared_threshold && !options.tail) continue;  // see the next test
    expect_the_statement(options);
  }
}

TEST(SemanticTailAttention, with_top_p_is_its_statement_in_double) {
  AttentionOptions options = options_of("semantic-tail");
  options.density.reset();
  options.top_p = .7;
  expect_the_statement(options);
}

TEST(SemanticTailAttention, gives_every_query_a_key_when_there_is_no_tail) {
  AttentionOptions options = options_of("semantic-tail");
  options.tail = false;
  options.density = .01;
  const AttentionExample example({.grid = {4, 8, 8}});
  Context context;
  const auto method = method_of(options);
  method->run(example.call(), example.out(), context);
  for (std::int64_t i = 0; i < example.out().size(2); ++i)
    EXPECT_GT(rms(example.out()[0][0][i]), 0) << i;
}

TEST(SemanticTailAttention, without_its_switches_is_svg2) {
  AttentionOptions options = options_of("semantic-tail");
  options.tail = options.scores_from_queries = false;
  options.error_per_token = options.shared_threshold = false;
  options.density = .3;
  const AttentionExample tail({.text_after = 5});
  const AttentionExample svg2({.text_after = 5});
  Context context;
  SemanticTailAttention(options, {1, 1}).run(tail.call(), tail.out(), context);
  SemanticAttention(options, {1, 1}).run(svg2.call(), svg2.out(), context);
  EXPECT_TRUE(bit_equal(tail.out(), svg2.out()));
}

TEST(SemanticTailAttention, meets_the_density_asked_for_over_all_heads) {
  AttentionOptions options = options_of("semantic-tail");
  options.query_clusters = 32;
  options.key_clusters = 64;
  const AttentionExample example({.heads = 4, .grid = {6, 12, 12}, .text_after = 20});
  Context context;
  for (const double density : {.1, .15, .25, .5}) {
    options.density = density;
    SemanticTailAttention method(options, {1, 1});
    method.run(example.call(), example.out(), context);
    // Off by at most half of the one pair of clusters that crosses the budget.
    EXPECT_NEAR(method.stats().sparse_density(), density, 1e-3);
  }
}

TEST(SemanticTailAttention, is_closer_to_dense_than_svg2_at_the_same_density) {
  const AttentionExample example({.heads = 4, .grid = {6, 12, 12}, .head_dim = 32});
  const HeadsCall call = example.heads();
  const Tensor exact =
      exact_attention(call.q, call.k, call.v, call.scale, [](auto, auto, auto) { return 0.0; });
  const auto error = [&](std::string_view method) {
    AttentionOptions options = options_of(method);
    options.query_clusters = 32;
    options.key_clusters = 64;
    options.top_p.reset();
    options.density = .15;
    Context context;
    method_of(options)->run(example.call(), example.out(), context);
    return relative_error(call.out, exact);
  };
  EXPECT_LT(error("semantic-tail"), .5 * error("svg2"));
}

TEST(SemanticAttention, keeps_its_clusters_between_clusterings) {
  AttentionOptions options = options_of("semantic-tail");
  options.recluster_every = 3;
  for (const int warm : {0, 2}) {
    options.kmeans_iterations_warm = warm;
    SemanticTailAttention method(options, {1, 10});
    Context context;
    const long per_step[] = {4, 0, 0, 4, 0};  // 2 heads, queries and keys
    long expected = 0;
    for (int step = 0; step < 5; ++step) {
      const AttentionExample example({}, static_cast<std::uint64_t>(step));
      method.run(example.call(step), example.out(), context);
      expected += per_step[step];
      EXPECT_EQ(method.stats().clusters.clusterings, expected) << step;
    }
  }
}

TEST(SemanticAttention, computes_the_same_pairs_again_between_clusterings) {
  for (const int multiple : {1, 8}) {
    AttentionOptions options = options_of("semantic-tail");
    options.recluster_every = 3;
    options.density = .3;
    options.query_multiple = options.key_multiple = multiple;
    SemanticTailAttention method(options, {1, 10});
    Context context;
    const AttentionExample example({.text_after = 5});
    method.run(example.call(0), example.out(), context);
    const Tensor first = clone(example.out());
    ASSERT_LT(method.stats().density(), 1);
    for (int step = 1; step < 3; ++step) {
      method.run(example.call(step), example.out(), context);
      EXPECT_TRUE(bit_equal(clone(example.out()), first)) << step;
    }
  }
}

TEST(SemanticTailAttention, takes_the_means_anew_where_it_keeps_the_clusters) {
  const AttentionOptions options = options_of("semantic-tail");
  const AttentionExample example({.text_after = 5});
  Context context;
  SemanticTailAttention method(options, {1, 10});
  method.run(example.call(0), example.out(), context);
  // Other values under the same queries and keys: the same clusters and choice, other means.
  const HeadsCall call = example.heads(0, 1);
  for (std::int64_t h = 0; h < call.heads(); ++h)
    for (std::int64_t i = 0; i < call.tokens(); ++i)
      call.v[h][i].as<float>()[i % 16] += static_cast<float>(i % 3);
  method.run(example.call(1), example.out(), context);
  EXPECT_EQ(method.stats().clusters.clusterings, 4) << "of the first step only";
  Clustering clustering(options);
  ClusterHealth health;
  Readback readback;
  const Arena::Scope scope(context.arena);
  const SemanticStatement statement(options, call,
                                    clustering.update(call, {}, context, health, readback));
  EXPECT_TRUE(close(call.out, statement.output(), output_tolerance(DType::f32)));
}

TEST(SemanticAttention, keeps_clusters_by_layer_and_branch) {
  AttentionOptions options = options_of("svg2");
  SemanticAttention method(options, {2, 10});
  SemanticAttention alone(options, {2, 10});
  Context context;
  const AttentionExample first({}, 1);
  const AttentionExample second({}, 2);
  const AttentionExample expected({}, 1);
  for (int step = 0; step < 3; ++step) {
    method.run(first.call(step, 0, 0), first.out(), context);
    method.run(second.call(step, 0, 1), second.out(), context);
    method.run(second.call(step, 1, 0), second.out(), context);
    alone.run(expected.call(step, 0, 0), expected.out(), context);
    EXPECT_TRUE(bit_equal(first.out(), expected.out()));
  }
}

TEST(SemanticAttention, does_not_pass_over_queries_that_are_no_numbers) {
  SemanticAttention method(options_of("svg2"), {1, 1});
  Context context;
  const AttentionExample example({});
  const TensorView q = example.call().q;
  std::fill_n(q.as<float>(), q.numel(), std::numeric_limits<float>::quiet_NaN());
  EXPECT_THAT(
      error_of(ErrorKind::internal, [&] { method.run(example.call(), example.out(), context); }),
      ::testing::HasSubstr("sampling step 1: attention of layer 0"));
}

TEST(SemanticAttention, reports_the_health_of_its_clusters) {
  AttentionOptions options = options_of("svg2");
  SemanticAttention method(options, {1, 1});
  Context context;
  const AttentionExample example({.constant = true});
  method.run(example.call(), example.out(), context);
  const ClusterHealth& health = method.stats().clusters;
  EXPECT_EQ(health.clusterings, 4);
  EXPECT_EQ(health.clusters, 2 * (7 + 14));
  EXPECT_EQ(health.largest_share, 1);
  EXPECT_EQ(health.empty_clusters, 2 * (6 + 13));
}

TEST(SemanticAttention, allocates_nothing_in_later_steps) {
  SemanticTailAttention method(options_of("semantic-tail"), {1, 10});
  Context context;
  const AttentionExample example({.text_after = 7});
  method.run(example.call(0), example.out(), context);
  const long before = context.arena.allocations();
  for (int step = 1; step < 8; ++step) method.run(example.call(step), example.out(), context);
  EXPECT_EQ(context.arena.allocations(), before);
}

TEST(SemanticAttention, begins_anew_after_dense_steps_in_which_its_memory_was_made) {
  AttentionOptions options = options_of("semantic-tail");
  SemanticTailAttention at_once(options, {1, 10});
  options.dense_steps = .2;
  SemanticTailAttention later(options, {1, 10});
  Context context;
  const AttentionExample earlier({.text_after = 7}, 5);
  const AttentionExample expected({.text_after = 7});
  const AttentionExample found({.text_after = 7});
  for (int step = 0; step < 2; ++step) later.run(earlier.call(step), earlier.out(), context);
  at_once.run(expected.call(2), expected.out(), context);
  later.run(found.call(2), found.out(), context);
  EXPECT_TRUE(close(found.out(), expected.out(), 0));
  EXPECT_EQ(later.stats().clusters.clusterings, at_once.stats().clusters.clusterings);
}

}  // namespace
}  // namespace sparsevid
