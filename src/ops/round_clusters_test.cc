// round_clusters: every implementation against the reference, and what rounding is for.
#include "ops/round_clusters.h"

#include <gtest/gtest.h>

#include "ops/agreement.h"
#include "ops/kmeans.h"
#include "ops/round_clusters_cases.h"

namespace sparsevid::ops {
namespace {

class RoundClusters : public ::testing::TestWithParam<RoundClustersCase> {};

TEST_P(RoundClusters, moves_the_tokens_that_the_reference_moves) {
  const RoundClustersInputs inputs(GetParam());
  // Whole numbers: no sum is rounded, so one token elsewhere is a mistake.
  expect_agreement(round_clusters_implementations(), inputs.params, inputs.labels, 0);
}

INSTANTIATE_TEST_SUITE_P(Cases, RoundClusters, ::testing::ValuesIn(round_clusters_test_cases()),
                         case_name);

std::vector<int> sizes_of(const TensorView& labels, int clusters) {
  std::vector<int> sizes(clusters);
  for (std::int64_t i = 0; i < labels.size(0); ++i)
    ++sizes[static_cast<std::size_t>(element(labels, i))];
  return sizes;
}

double squared_distances(const TensorView& x, const TensorView& labels,
                         const TensorView& centroids) {
  double sum = 0;
  for (std::int64_t i = 0; i < x.size(0); ++i)
    for (std::int64_t d = 0; d < x.size(1); ++d) {
      const auto c = static_cast<std::int64_t>(element(labels, i));
      const double difference = element(x[i], d) - element(centroids[c], d);
      sum += difference * difference;
    }
  return sum;
}

/// What k-means finds among normal data.
struct Clustered {
  Clustered(std::int64_t count, int clusters)
      : x(random_tensor({1, count, 8}, 3, DType::bf16)),
        centroids(DType::f32, {1, clusters, 8}),
        labels(DType::i32, {1, count}),
        order(DType::i32, {1, count}),
        offsets(DType::i32, {1, clusters + 1}) {
    Context context;
    KMeansParams params;
    params.x = x;
    params.max_iterations = 4;
    params.centroids = centroids;
    params.labels = labels;
    const Tensor counts(DType::i32, {1, clusters});
    params.counts = counts;
    kmeans(params, context);
    cluster_order({labels, order, offsets}, context);
  }
  Tensor x, centroids, labels, order, offsets;
};

TEST(RoundClusters, gives_nearly_all_clusters_multiples_for_little_distance) {
  const int clusters = 50;
  const Clustered inputs(3003, clusters);
  const double before =
      squared_distances(inputs.x.view()[0], inputs.labels.view()[0], inputs.centroids.view()[0]);
  const Tensor first = clone(inputs.labels);
  for (const auto& entry : round_clusters_implementations().entries()) {
    Context context;
    const RoundClustersParams params{inputs.x, inputs.centroids, inputs.order, inputs.offsets,
                                     16,       inputs.labels};
    if (!entry.refusal(params, context).empty()) continue;
    SCOPED_TRACE(entry.name);
    copy_implementations().entries().back().run({first, inputs.labels}, context);
    entry.run(params, context);
    int multiples = 0;
    for (const int size : sizes_of(inputs.labels.view()[0], clusters)) multiples += size % 16 == 0;
    // One has to hold what 3003 has beyond a multiple; 32 rounds find room for nearly all others.
    EXPECT_GE(multiples, clusters * 9 / 10);
    EXPECT_LT(multiples, clusters);
    const double after =
        squared_distances(inputs.x.view()[0], inputs.labels.view()[0], inputs.centroids.view()[0]);
    EXPECT_LT(after, 1.1 * before);
  }
}

TEST(RoundClusters, leaves_what_is_no_number_in_some_cluster) {
  RoundClustersInputs inputs({"", 1, 120, 8, 6, 8});
  for (int i = 0; i < 40; ++i) inputs.x.view()[0][3 * i].as<float>()[0] = __builtin_nanf("");
  with_each_implementation(round_clusters_implementations(), inputs.params, [&] {
    for (const double label : to_vector(inputs.labels)) {
      EXPECT_GE(label, 0);
      EXPECT_LT(label, 6);
    }
  });
}

}  // namespace
}  // namespace sparsevid::ops
