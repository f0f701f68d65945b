#include "attention/methods/choose.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "testing/random_tensor.h"

namespace sparsevid {
namespace {

using Bytes = std::vector<std::uint8_t>;
using Floats = std::vector<float>;

Bytes in_row(const Floats& priority, const Floats& weight, double budget,
             Crossing crossing = Crossing::keep, int at_least = 0) {
  Bytes chosen(priority.size(), 9);
  choose_in_row(priority, weight, budget, crossing, at_least, chosen);
  return chosen;
}
Bytes by_threshold(const Floats& priority, const Floats& weight, double budget,
                   Crossing crossing = Crossing::keep) {
  Bytes chosen(priority.size(), 9);
  choose_by_threshold(priority, weight, budget, crossing, chosen);
  return chosen;
}

TEST(Choose, keeps_the_entry_that_crosses_a_mass) {
  EXPECT_EQ(in_row({.1F, .5F, .4F}, {.1F, .5F, .4F}, .6), (Bytes{0, 1, 1}));
  EXPECT_EQ(by_threshold({.1F, .5F, .4F}, {.1F, .5F, .4F}, .6), (Bytes{0, 1, 1}));
}

TEST(Choose, rounds_a_number_of_tokens_to_the_nearest_cluster) {
  const Floats priority = {3, 2, 1};
  const Floats tokens = {10, 10, 10};
  EXPECT_EQ(in_row(priority, tokens, 14, Crossing::round), (Bytes{1, 0, 0}));
  EXPECT_EQ(in_row(priority, tokens, 15, Crossing::round), (Bytes{1, 1, 0}));
  EXPECT_EQ(by_threshold(priority, tokens, 14, Crossing::round), (Bytes{1, 0, 0}));
  EXPECT_EQ(by_threshold(priority, tokens, 15, Crossing::round), (Bytes{1, 1, 0}));
}

TEST(Choose, leaves_out_empty_clusters_whatever_their_priority) {
  EXPECT_EQ(in_row({9, 2, 1}, {0, 1, 1}, 10), (Bytes{0, 1, 1}));
  EXPECT_EQ(by_threshold({9, 2, 1}, {0, 1, 1}, 10), (Bytes{0, 1, 1}));
}

TEST(Choose, keeps_at_least_a_number_of_entries_whatever_the_budget) {
  EXPECT_EQ(in_row({5, 4, 3, 2}, {0, 1, 1, 1}, 0, Crossing::round, 2), (Bytes{0, 1, 1, 0}));
  EXPECT_EQ(in_row({5, 4, 3, 2}, {1, 1, 1, 1}, 3, Crossing::round, 2), (Bytes{1, 1, 1, 0}));
  EXPECT_EQ(in_row({5, 4}, {1, 0}, 0, Crossing::round, 2), (Bytes{1, 0}));
}

TEST(Choose, takes_equal_entries_in_order_until_the_budget_is_spent) {
  const Floats equal(6, .25F);
  const Floats tokens(6, 2);
  EXPECT_EQ(in_row(equal, tokens, 6), (Bytes{1, 1, 1, 0, 0, 0}));
  EXPECT_EQ(by_threshold(equal, tokens, 6), (Bytes{1, 1, 1, 0, 0, 0}));
}

TEST(Choose, chooses_nothing_for_an_empty_budget_and_everything_for_a_large_one) {
  const Floats priority = {.3F, 0, .7F};
  const Floats tokens = {1, 2, 3};
  for (const double budget : {0.0, -5.0}) {
    EXPECT_EQ(in_row(priority, tokens, budget), (Bytes{0, 0, 0}));
    EXPECT_EQ(by_threshold(priority, tokens, budget), (Bytes{0, 0, 0}));
  }
  EXPECT_EQ(in_row(priority, tokens, 100), (Bytes{1, 1, 1}));
  EXPECT_EQ(by_threshold(priority, tokens, 100), (Bytes{1, 1, 1}));
}

TEST(Choose, computes_a_cluster_whose_estimate_is_not_a_number) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(in_row({1, nan}, {1, 1}, 1), (Bytes{0, 1}));
  EXPECT_EQ(by_threshold({1, nan}, {1, 1}, 1), (Bytes{0, 1}));
}

TEST(Choose, by_threshold_agrees_with_sorting_at_every_budget) {
  const int count = 3000;
  Floats priority(count);
  Floats weight(count);
  const Tensor random = random_tensor({2, count}, 11);
  for (int i = 0; i < count; ++i) {
    // Rounded, so that many are equal; of very different sizes, as softmax masses are.
    priority[i] = std::exp(std::round(20 * random->as<float>()[i]) / 2);
    weight[i] = std::max(0.F, std::round(10 * random->as<float>()[count + i]));
  }
  const double total = std::accumulate(weight.begin(), weight.end(), 0.0);
  for (const double share : {0.001, .08, .15, .5, .9, .999, 1.0}) {
    for (const auto crossing : {Crossing::keep, Crossing::round}) {
      EXPECT_EQ(by_threshold(priority, weight, share * total, crossing),
                in_row(priority, weight, share * total, crossing))
          << share;
    }
  }
}

}  // namespace
}  // namespace sparsevid
