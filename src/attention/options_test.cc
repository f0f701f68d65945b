#include "attention/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "attention/default_options.h"
#include "sparsevid/error.h"

namespace sparsevid {
namespace {

std::string message_of(const std::function<void(AttentionOptions&)>& change) {
  AttentionOptions options = default_options("semantic-tail", "", 320);
  change(options);
  try {
    validate(options);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::bad_input);
    return error.what();
  }
  return "accepted";
}

TEST(AttentionOptions, accept_the_defaults_of_every_method_model_and_size) {
  for (const auto& method : attention_methods())
    for (const auto* model : {"wan-t2v", "wan-i2v", "hunyuan-video", "cosmos", "cogvideox", "x"})
      for (const int height : {64, 480, 720}) {
        EXPECT_NO_THROW(validate(default_options(method.name, model, height)))
            << method.name << " " << model << " " << height;
      }
}

TEST(AttentionOptions, name_the_flag_the_expectation_and_the_finding_when_a_value_is_bad) {
  EXPECT_EQ(message_of([](auto& o) { o.method = "svg3"; }),
            "--attention: expected one of dense, svg1, svg2, semantic-tail, found \"svg3\"");
  EXPECT_EQ(message_of([](auto& o) { o.density = 1.5; }),
            "--density: expected a share above 0 and up to 1, found 1.5");
  EXPECT_EQ(message_of([](auto& o) { o.dense_steps = -1; }),
            "--dense-steps: expected a share between 0 and 1, found -1");
  EXPECT_EQ(message_of([](auto& o) { o.kmeans_iterations = 0; }),
            "--kmeans-iterations: expected a whole number from 1 to 1000, found 0");
}

TEST(AttentionOptions, refuse_values_that_are_not_numbers) {
  EXPECT_NE(message_of([](auto& o) { o.density = std::nan(""); }), "accepted");
  EXPECT_NE(message_of([](auto& o) { o.dense_layers = std::nan(""); }), "accepted");
}

TEST(AttentionOptions, refuse_two_budgets_at_once) {
  EXPECT_THAT(message_of([](auto& o) { o.top_p = .9; }), testing::HasSubstr("only one of them"));
}

TEST(AttentionOptions, refuse_a_mass_budget_for_svg1_which_has_no_mass_estimate) {
  EXPECT_THAT(message_of([](auto& o) {
                o.method = "svg1";
                o.density.reset();
                o.top_p = .9;
              }),
              testing::HasSubstr("--top-p"));
}

TEST(DefaultOptions, are_the_released_ones_for_the_model_and_resolution) {
  const auto wan = default_options("svg2", "wan-t2v", 720);
  EXPECT_EQ(wan.query_clusters, 300);
  EXPECT_EQ(wan.key_clusters, 1000);
  EXPECT_EQ(wan.top_p, .9);
  EXPECT_EQ(wan.min_clusters, .1);
  EXPECT_EQ(wan.dense_steps, .2);
  EXPECT_EQ(default_options("svg2", "wan-i2v", 720).dense_steps, .35);
  EXPECT_EQ(default_options("svg2", "hunyuan-video", 544).dense_layers, 0);
  EXPECT_EQ(default_options("svg1", "wan-t2v", 480).density, .30);
  EXPECT_EQ(default_options("svg1", "hunyuan-video", 544).density, .20);
}

TEST(DefaultOptions, scale_the_number_of_clusters_with_the_tokens_of_other_models) {
  const auto svg2 = cluster_numbers(default_options("svg2", "other", 720), 75600, Device::cpu);
  EXPECT_NEAR(svg2.query, 300, 16);
  EXPECT_NEAR(svg2.key, 1000, 16);
  const AttentionOptions semantic_tail = default_options("semantic-tail", "other", 320);
  const auto on_gpu = cluster_numbers(semantic_tail, 5200, Device::cuda);
  EXPECT_EQ(on_gpu.query, 128);
  EXPECT_EQ(on_gpu.key, 256);
  const auto on_cpu = [&](std::int64_t tokens) {
    return cluster_numbers(semantic_tail, tokens, Device::cpu);
  };
  EXPECT_EQ(on_cpu(16384).query, 96);
  EXPECT_EQ(on_cpu(16384).key, 192);
  EXPECT_EQ(on_cpu(5200).query, 64);
  EXPECT_EQ(on_cpu(5200).key, 192);
  EXPECT_EQ(on_cpu(900).query, cluster_numbers(semantic_tail, 900, Device::cuda).query);
}

}  // namespace
}  // namespace sparsevid
