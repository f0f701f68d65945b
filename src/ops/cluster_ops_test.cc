// cluster_order, cluster_statistics, cluster_scores and cluster_errors, each implementation against
// a statement in fp64.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "ops/agreement.h"
#include "ops/cluster_errors.h"
#include "ops/cluster_order.h"
#include "ops/cluster_scores.h"
#include "ops/cluster_statistics.h"
#include "testing/compare.h"
#include "testing/random_tensor.h"

namespace sparsevid::ops {
namespace {

struct Ordered {
  Tensor labels;
  Tensor order;
  Tensor offsets;
};

/// Random clusters, of which the third is empty.
Ordered ordered(std::int64_t heads, std::int64_t count, int clusters, std::uint64_t seed) {
  Ordered result{random_integers({heads, count}, seed, 0, clusters - 1),
                 Tensor(DType::i32, {heads, count}), Tensor(DType::i32, {heads, clusters + 1})};
  auto* labels = result.labels->as<std::int32_t>();
  for (std::int64_t i = 0; i < heads * count; ++i)
    if (labels[i] == 2) labels[i] = 0;
  Context context;
  cluster_order({result.labels, result.order, result.offsets}, context);
  return result;
}

TEST(ClusterOrder, sorts_tokens_by_label_and_keeps_their_order_inside) {
  const Tensor labels = tensor_of({2, 5}, {3, 0, 3, 1, 0, 1, 1, 1, 1, 1}, DType::i32);
  const Tensor order(DType::i32, {2, 5});
  const Tensor offsets(DType::i32, {2, 5});
  with_each_implementation(cluster_order_implementations(), {labels, order, offsets}, [&] {
    EXPECT_EQ(to_vector(order), (std::vector<double>{1, 4, 3, 0, 2, 0, 1, 2, 3, 4}));
    EXPECT_EQ(to_vector(offsets), (std::vector<double>{0, 2, 3, 3, 5, 0, 0, 5, 5, 5}));
  });
}

TEST(ClusterOrder, agrees_between_implementations_on_many_labels) {
  const Tensor labels = random_integers({3, 5001}, 1, 0, 99);
  const Tensor expected_order(DType::i32, {3, 5001});
  const Tensor expected_offsets(DType::i32, {3, 101});
  Context context;
  cluster_order_implementations().entries().back().run({labels, expected_order, expected_offsets},
                                                       context);
  const Tensor order(DType::i32, {3, 5001});
  const Tensor offsets(DType::i32, {3, 101});
  with_each_implementation(cluster_order_implementations(), {labels, order, offsets}, [&] {
    EXPECT_TRUE(bit_equal(order, expected_order));
    EXPECT_TRUE(bit_equal(offsets, expected_offsets));
  });
}

TEST(ClusterStatistics, are_the_mean_and_the_variance_of_the_members) {
  for (const auto dtype : {DType::f32, DType::bf16}) {
    for (const std::int64_t head_dim : {5, 64, 128}) {
      const Tensor storage = random_tensor({301, 2, head_dim}, 2, dtype, {.mean = 3});
      const TensorView x = storage->transpose(0, 1);
      const Ordered clusters = ordered(2, 301, 11, 3);
      const Tensor expected_mean = constant_tensor({2, 11, head_dim}, 0);
      const Tensor expected_variance = constant_tensor({2, 11, head_dim}, 0);
      for (std::int64_t h = 0; h < 2; ++h)
        for (std::int64_t c = 0; c < 11; ++c)
          for (std::int64_t d = 0; d < head_dim; ++d) {
            std::vector<double> members;
            for (std::int64_t i = 0; i < 301; ++i)
              if (element(clusters.labels.view()[h], i) == static_cast<double>(c))
                members.push_back(element(x[h][i], d));
            double mean = 0;
            double variance = 0;
            for (const double m : members) mean += m / static_cast<double>(members.size());
            for (const double m : members)
              variance += (m - mean) * (m - mean) / static_cast<double>(members.size());
            expected_mean.view()[h][c].as<float>()[d] = static_cast<float>(mean);
            expected_variance.view()[h][c].as<float>()[d] = static_cast<float>(variance);
          }
      const Tensor mean(DType::f32, expected_mean->shape());
      const Tensor variance(DType::f32, expected_mean->shape());
      with_each_implementation(
          cluster_statistics_implementations(),
          ClusterStatisticsParams{x, clusters.order, clusters.offsets, mean, variance}, [&] {
            // f32 sums of some 30 values: rounding of 2^-24 a step.
            EXPECT_TRUE(close(mean, expected_mean, 1e-6));
            EXPECT_TRUE(close(variance, expected_variance, 1e-5));
          });
    }
  }
}

/// The definition of ops/cluster_scores.h, in double.
Tensor expected_scores(const TensorView& q, const Ordered& queries, const TensorView& k_mean,
                       const TensorView& k_offsets, double scale, std::int64_t q_clusters) {
  Tensor scores = constant_tensor({q.size(0), q_clusters, k_mean.size(1)}, 0);
  for (std::int64_t h = 0; h < q.size(0); ++h) {
    std::vector<double> members(q_clusters);
    std::vector<double> sum(q_clusters * k_mean.size(1));
    for (std::int64_t i = 0; i < q.size(1); ++i) {
      const auto label = static_cast<std::size_t>(element(queries.labels.view()[h], i));
      std::vector<double> mass(k_mean.size(1));
      double total = 0;
      for (std::size_t j = 0; j < mass.size(); ++j) {
        const double size = element(k_offsets[h], j + 1) - element(k_offsets[h], j);
        double dot = 0;
        for (std::int64_t d = 0; d < q.size(2); ++d)
          dot += element(q[h][i], d) * element(k_mean[h][j], d);
        total += mass[j] = size * std::exp(scale * dot);
      }
      members[label] += 1;
      for (std::size_t j = 0; j < mass.size(); ++j) sum[label * mass.size() + j] += mass[j] / total;
    }
    for (std::int64_t i = 0; i < q_clusters; ++i)
      for (std::int64_t j = 0; j < k_mean.size(1); ++j)
        if (members[i] > 0)
          scores.view()[h][i].as<float>()[j] =
              static_cast<float>(sum[i * k_mean.size(1) + j] / members[i]);
  }
  return scores;
}

TEST(ClusterScores, are_the_mean_mass_that_the_queries_of_a_cluster_give_each_key_cluster) {
  for (const auto dtype : {DType::f32, DType::bf16}) {
    for (const std::int64_t head_dim : {7, 64}) {
      const Tensor storage = random_tensor({301, 2, head_dim}, 2, dtype);
      const TensorView q = storage->transpose(0, 1);
      const Ordered queries = ordered(2, 301, 11, 3);
      const Ordered keys = ordered(2, 500, 37, 4);
      const Tensor k_mean = random_tensor({2, 37, head_dim}, 5, DType::f32, {.mean = 2});
      const double scale = 1 / std::sqrt(static_cast<double>(head_dim));
      const Tensor expected = expected_scores(q, queries, k_mean, keys.offsets, scale, 11);
      const Tensor scores(DType::f32, {2, 11, 37});
      with_each_implementation(
          cluster_scores_implementations(),
          ClusterScoresParams{q, queries.order, queries.offsets, k_mean, keys.offsets, scale,
                              scores},
          [&] {
            // bf16 means: logits of size 1 move by 2^-9, masses by as much.
            EXPECT_TRUE(close(scores, expected, dtype == DType::bf16 ? 4e-3 : 1e-5));
            EXPECT_EQ(element(scores, 2), 0) << "an empty key cluster";
            EXPECT_EQ(rms(scores.view()[0][2]), 0) << "an empty query cluster";
          });
    }
  }
}

// The GPU deals means out to blocks that exchange their parts of a softmax.
TEST(ClusterScores, take_as_many_clusters_of_keys_as_there_are) {
  for (const std::int64_t head_dim : {64, 128}) {
    for (const int clusters : {161, 390, 1100}) {
      const Tensor q = random_tensor({1, 90, head_dim}, 2, DType::bf16);
      const Ordered queries = ordered(1, 90, 4, 3);
      const Ordered keys = ordered(1, 3000, clusters, 4);
      const Tensor k_mean = random_tensor({1, clusters, head_dim}, 5, DType::f32, {.mean = 2});
      const double scale = 2 / std::sqrt(static_cast<double>(head_dim));
      const Tensor expected = expected_scores(q, queries, k_mean, keys.offsets, scale, 4);
      const Tensor scores(DType::f32, {1, 4, clusters});
      with_each_implementation(cluster_scores_implementations(),
                               ClusterScoresParams{q, queries.order, queries.offsets, k_mean,
                                                   keys.offsets, scale, scores},
                               [&] { EXPECT_TRUE(close(scores, expected, 8e-3)); });
    }
  }
}

// There the queries of all heads are dealt out too, in shares that end inside of heads.
TEST(ClusterScores, take_as_many_queries_of_several_heads) {
  const Tensor q = random_tensor({3, 250, 64}, 2, DType::bf16);
  const Ordered queries = ordered(3, 250, 9, 3);
  const Ordered keys = ordered(3, 900, 290, 4);
  const Tensor k_mean = random_tensor({3, 290, 64}, 5, DType::f32, {.mean = 2});
  const Tensor expected = expected_scores(q, queries, k_mean, keys.offsets, .25, 9);
  const Tensor scores(DType::f32, {3, 9, 290});
  with_each_implementation(
      cluster_scores_implementations(),
      ClusterScoresParams{q, queries.order, queries.offsets, k_mean, keys.offsets, .25, scores},
      [&] { EXPECT_TRUE(close(scores, expected, 8e-3)); });
}

TEST(ClusterScores, take_centroids_as_queries_too) {
  const Tensor q = random_tensor({2, 11, 32}, 2);
  Ordered each{Tensor(DType::i32, {2, 11}), {}, {}};
  for (int i = 0; i < 22; ++i) each.labels->as<std::int32_t>()[i] = i % 11;
  const Ordered keys = ordered(2, 500, 37, 4);
  const Tensor k_mean = random_tensor({2, 37, 32}, 5);
  const Tensor expected = expected_scores(q, each, k_mean, keys.offsets, .3, 11);
  const Tensor scores(DType::f32, {2, 11, 37});
  with_each_implementation(cluster_scores_implementations(),
                           ClusterScoresParams{q, {}, {}, k_mean, keys.offsets, .3, scores},
                           [&] { EXPECT_TRUE(close(scores, expected, 1e-5)); });
}

TEST(ClusterScores, stay_finite_for_large_logits) {
  const Tensor q = random_tensor({1, 64, 16}, 2, DType::f32, {.scale = 100});
  const Ordered queries = ordered(1, 64, 5, 3);
  const Ordered keys = ordered(1, 90, 20, 4);
  const Tensor k_mean = random_tensor({1, 20, 16}, 5, DType::f32, {.scale = 100});
  const Tensor scores(DType::f32, {1, 5, 20});
  with_each_implementation(
      cluster_scores_implementations(),
      ClusterScoresParams{q, queries.order, queries.offsets, k_mean, keys.offsets, 1, scores}, [&] {
        EXPECT_TRUE(all_finite(scores));
        double sum = 0;
        for (int j = 0; j < 20; ++j) sum += element(scores, j);
        EXPECT_NEAR(sum, 1, 1e-5);
      });
}

TEST(ClusterErrors, weigh_the_mass_by_the_spread_of_the_logits_and_the_cost) {
  const Tensor scores = random_tensor({2, 6, 37}, 1, DType::f32, {.mean = 4, .scale = .5});
  const Tensor q_mean = random_tensor({2, 6, 48}, 2);
  Tensor variance = random_tensor({2, 37, 48}, 3, DType::f32, {.mean = 5});
  const Ordered keys = ordered(2, 500, 37, 4);
  const Tensor expected = constant_tensor({2, 6, 37}, 0);
  for (std::int64_t h = 0; h < 2; ++h)
    for (std::int64_t i = 0; i < 6; ++i)
      for (std::int64_t j = 0; j < 37; ++j) {
        const double size =
            element(keys.offsets.view()[h], j + 1) - element(keys.offsets.view()[h], j);
        double sum = 0;
        for (std::int64_t d = 0; d < 48; ++d)
          sum += std::pow(element(q_mean.view()[h][i], d), 2) * element(variance.view()[h][j], d);
        if (size > 0)
          expected.view()[h][i].as<float>()[j] =
              static_cast<float>(element(scores.view()[h][i], j) * .25 * std::sqrt(sum) / size);
      }
  const Tensor errors(DType::f32, {2, 6, 37});
  with_each_implementation(cluster_errors_implementations(),
                           ClusterErrorsParams{scores, q_mean, variance, keys.offsets, .25, errors},
                           [&] { EXPECT_TRUE(close(errors, expected, 1e-5)); });
}

}  // namespace
}  // namespace sparsevid::ops
