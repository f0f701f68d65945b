#include "attention/attention_stats.h"

#include <gtest/gtest.h>

namespace sparsevid {
namespace {

AttentionStats example() {
  AttentionStats stats;
  stats.calls = {{0, 0, 0, true, {}}, {1, 0, 0, true, {}}, {1, 1, 0, false, {.2, .4}}};
  return stats;
}

TEST(AttentionStats, counts_dense_calls_only_in_the_density_of_the_whole_run) {
  EXPECT_DOUBLE_EQ(example().sparse_density(), .3);
  EXPECT_DOUBLE_EQ(example().density(), 2.3 / 3);
}

TEST(AttentionStats, gives_the_density_of_a_step_and_of_a_layer) {
  EXPECT_DOUBLE_EQ(example().density_of_step(1), .65);
  EXPECT_DOUBLE_EQ(example().density_of_layer(1), .3);
}

TEST(AttentionStats, is_dense_before_the_first_call) {
  EXPECT_EQ(AttentionStats{}.density(), 1);
  EXPECT_EQ(AttentionStats{}.sparse_density(), 1);
}

TEST(AttentionQuality, gives_the_mean_the_percentile_and_the_worst) {
  AttentionQuality quality;
  for (int i = 0; i <= 100; ++i) quality.recall.push_back(1 - i / 100.0);
  EXPECT_NEAR(quality.mean_recall(), .5, 1e-12);
  EXPECT_NEAR(quality.recall_percentile(5), .05, 1e-12);
  EXPECT_NEAR(quality.recall_percentile(0), 0, 1e-12);
}

}  // namespace
}  // namespace sparsevid
