// choose_clusters and what surrounds a choice: pair_density.
#include "ops/choose_clusters.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "ops/agreement.h"
#include "ops/choose_clusters_cases.h"
#include "ops/pair_density.h"
#include "testing/compare.h"
#include "testing/random_tensor.h"

namespace sparsevid::ops {
namespace {

using Doubles = std::vector<double>;

/// Offsets of clusters of these sizes.
Tensor offsets_of(const std::vector<std::vector<int>>& sizes) {
  const auto clusters = static_cast<std::int64_t>(sizes[0].size());
  Tensor offsets(DType::i32, {static_cast<std::int64_t>(sizes.size()), clusters + 1});
  for (std::size_t h = 0; h < sizes.size(); ++h) {
    auto* row = offsets.view()[static_cast<std::int64_t>(h)].as<std::int32_t>();
    row[0] = 0;
    std::partial_sum(sizes[h].begin(), sizes[h].end(), row + 1);
  }
  return offsets;
}

struct Rule {
  double budget;
  Crossing crossing = Crossing::keep;
  int at_least = 0;
};

/// One query cluster of one query. Both ways of choosing must agree on it.
void expect_choice(const Doubles& priority, const std::vector<int>& sizes, const Doubles& mass,
                   const Rule& rule, const Doubles& expected) {
  const auto columns = static_cast<std::int64_t>(priority.size());
  const Tensor priorities = tensor_of({1, 1, columns}, priority);
  const Tensor masses = mass.empty() ? Tensor() : tensor_of({1, 1, columns}, mass);
  const Tensor q_offsets = offsets_of({{1}});
  const Tensor k_offsets = offsets_of({sizes});
  for (const bool shared : {false, true}) {
    SCOPED_TRACE(shared ? "shared" : "row by row");
    const Tensor chosen = constant_tensor({1, 1, columns}, 9, DType::u8);
    with_each_implementation(
        choose_clusters_implementations(),
        ChooseClustersParams{priorities, masses, q_offsets, k_offsets, rule.budget, rule.crossing,
                             rule.at_least, shared, chosen},
        [&] { EXPECT_EQ(to_vector(chosen), expected); });
  }
}

TEST(ChooseClusters, keep_the_entry_that_crosses_a_mass) {
  expect_choice({.1, .5, .4}, {1, 1, 1}, {.125, .5, .375}, {.6}, {0, 1, 1});
}

TEST(ChooseClusters, round_a_number_of_tokens_to_the_nearest_cluster) {
  expect_choice({3, 2, 1}, {10, 10, 10}, {}, {14, Crossing::round}, {1, 0, 0});
  expect_choice({3, 2, 1}, {10, 10, 10}, {}, {15, Crossing::round}, {1, 1, 0});
}

TEST(ChooseClusters, leave_out_empty_clusters_whatever_their_priority) {
  expect_choice({9, 2, 1}, {0, 1, 1}, {}, {10}, {0, 1, 1});
}

TEST(ChooseClusters, keep_at_least_a_number_of_entries_whatever_the_budget) {
  expect_choice({5, 4, 3, 2}, {0, 1, 1, 1}, {}, {0, Crossing::round, 2}, {0, 1, 1, 0});
  expect_choice({5, 4, 3, 2}, {1, 1, 1, 1}, {}, {3, Crossing::round, 2}, {1, 1, 1, 0});
  expect_choice({5, 4}, {1, 0}, {}, {0, Crossing::round, 2}, {1, 0});
}

TEST(ChooseClusters, take_equal_entries_in_order_until_the_budget_is_spent) {
  expect_choice(Doubles(6, .25), std::vector<int>(6, 2), {}, {6}, {1, 1, 1, 0, 0, 0});
}

TEST(ChooseClusters, choose_nothing_for_an_empty_budget_and_everything_for_a_large_one) {
  expect_choice({.3, 0, .7}, {1, 2, 3}, {}, {0}, {0, 0, 0});
  expect_choice({.3, 0, .7}, {1, 2, 3}, {}, {-5}, {0, 0, 0});
  expect_choice({.3, 0, .7}, {1, 2, 3}, {}, {100}, {1, 1, 1});
}

TEST(ChooseClusters, compute_a_cluster_whose_estimate_is_not_a_number) {
  expect_choice({1, std::nan("")}, {1, 1}, {}, {1}, {0, 1});
}

TEST(ChooseClusters, spend_a_shared_budget_where_it_matters) {
  // Two heads of two query clusters of 4 and 6 queries; 20 of 80 pairs.
  const Tensor priority = tensor_of({2, 2, 2}, {8, 1, 2, 3, 4, 5, 6, 7});
  const Tensor q_offsets = offsets_of({{4, 6}, {4, 6}});
  const Tensor k_offsets = offsets_of({{2, 2}, {2, 2}});
  const Tensor chosen(DType::u8, {2, 2, 2});
  ChooseClustersParams params{priority,        {}, q_offsets, k_offsets, 1,
                              Crossing::round, 0,  true,      chosen};
  with_each_implementation(choose_clusters_implementations(), params, [&] {
    EXPECT_EQ(to_vector(chosen), (Doubles{1, 0, 0, 0, 0, 0, 0, 1}));
  });
  params.at_least = 1;
  with_each_implementation(choose_clusters_implementations(), params, [&] {
    EXPECT_EQ(to_vector(chosen), (Doubles{1, 0, 0, 1, 0, 1, 0, 1}));
  });
}

TEST(ChooseClusters, let_text_see_and_be_seen_by_everything) {
  const Tensor priority = tensor_of({1, 2, 2}, {1, 2, 3, 4});
  const Tensor q_offsets = offsets_of({{5, 0, 3}});
  const Tensor k_offsets = offsets_of({{4, 4, 3}});
  for (const bool shared : {false, true}) {
    const Tensor chosen = constant_tensor({1, 3, 3}, 9, DType::u8);
    with_each_implementation(
        choose_clusters_implementations(),
        ChooseClustersParams{
            priority, {}, q_offsets, k_offsets, 4, Crossing::round, 1, shared, chosen},
        [&] {
          EXPECT_EQ(to_vector(chosen), (Doubles{0, 1, 1,  //
                                                0, 0, 1,  // no queries
                                                1, 1, 1}));
        });
  }
}

TEST(ChooseClusters, agree_between_implementations_at_every_budget) {
  for (const auto& c : choose_clusters_test_cases()) {
    SCOPED_TRACE(c.name);
    Tensor priority = random_tensor({c.heads, c.rows, c.columns}, 11);
    Tensor mass = random_tensor({c.heads, c.rows, c.columns}, 12);
    for (std::int64_t n = 0; n < priority->numel(); ++n) {
      // Of very different sizes, as softmax masses are, and some of them equal.
      float& value = priority->as<float>()[n];
      value = c.steps == 0
                  ? 1
                  : static_cast<float>(std::exp(std::round(10 * c.steps * value) / c.steps));
      mass->as<float>()[n] =
          std::max(0.F, std::exp(2 * mass->as<float>()[n]) - .5F) / static_cast<float>(c.columns);
    }
    const auto random_offsets = [&](std::int64_t clusters, int seed) {
      const Tensor sizes = random_integers({c.heads, clusters}, seed, -2, 9);
      std::vector<std::vector<int>> rows(c.heads);
      for (std::int64_t h = 0; h < c.heads; ++h)
        for (std::int64_t i = 0; i < clusters; ++i)
          rows[h].push_back(std::max(0, static_cast<int>(element(sizes.view()[h], i))));
      rows[0][0] = 7;
      return offsets_of(rows);
    };
    const Tensor q_offsets = random_offsets(c.rows + c.text, 13);
    const Tensor k_offsets = random_offsets(c.columns + c.text, 14);
    double weight = 0;  // of an average row
    for (std::int64_t n = 0; n < mass->numel(); ++n)
      weight += mass->as<float>()[n] / static_cast<double>(c.heads * c.rows);
    if (!c.by_mass) weight = element(k_offsets.view()[0], c.columns);
    const Tensor chosen =
        constant_tensor({c.heads, c.rows + c.text, c.columns + c.text}, 9, DType::u8);
    const ChooseClustersParams params{priority,
                                      c.by_mass ? mass.view() : TensorView(),
                                      q_offsets,
                                      k_offsets,
                                      c.budget * weight,
                                      c.crossing,
                                      c.at_least,
                                      c.shared,
                                      chosen};
    Context context;
    const auto& list = choose_clusters_implementations();
    list.entries().back().run(params, context);
    const Tensor expected = clone(chosen);
    with_each_implementation(list, params, [&] { EXPECT_TRUE(bit_equal(chosen, expected)); });
  }
}

TEST(PairDensity, is_the_share_of_chosen_pairs) {
  const Tensor chosen = tensor_of({2, 2, 3}, {1, 0, 1, 0, 0, 1, 1, 1, 1, 1, 1, 1}, DType::u8);
  const Tensor q_offsets = offsets_of({{4, 6}, {0, 10}});
  const Tensor k_offsets = offsets_of({{2, 3, 5}, {5, 4, 1}});
  const Tensor density(DType::f64, {2});
  with_each_implementation(pair_density_implementations(),
                           PairDensityParams{chosen, q_offsets, k_offsets, density}, [&] {
                             EXPECT_DOUBLE_EQ(element(density, 0), (4 * 7 + 6 * 5) / 100.0);
                             EXPECT_EQ(element(density, 1), 1);
                           });
}

TEST(PairDensity, agrees_between_implementations_on_many_clusters) {
  const Tensor chosen = random_integers({3, 77, 333}, 1, 0, 1, DType::u8);
  std::vector<std::vector<int>> q_sizes(3, std::vector<int>(77, 5000));
  std::vector<std::vector<int>> k_sizes(3, std::vector<int>(333));
  for (int h = 0; h < 3; ++h) std::iota(k_sizes[h].begin(), k_sizes[h].end(), h);
  const Tensor q_offsets = offsets_of(q_sizes);
  const Tensor k_offsets = offsets_of(k_sizes);
  const Tensor density(DType::f64, {3});
  const PairDensityParams params{chosen, q_offsets, k_offsets, density};
  Context context;
  pair_density_implementations().entries().back().run(params, context);
  const Tensor expected = clone(density);
  // Whole numbers below 2^53 and one division.
  with_each_implementation(pair_density_implementations(), params,
                           [&] { EXPECT_TRUE(bit_equal(density, expected)); });
}

}  // namespace
}  // namespace sparsevid::ops
