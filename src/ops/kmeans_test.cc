#include "ops/kmeans.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <vector>

#include "ops/kmeans_cases.h"
#include "ops/kmeans_seed.h"
#include "testing/compare.h"
#include "testing/random_tensor.h"

namespace sparsevid::ops {
namespace {

struct Result {
  Tensor centroids;
  Tensor labels;
  Tensor counts;

  Result(const TensorView& x, std::int64_t clusters)
      : centroids(DType::f32, {x.size(0), clusters, x.size(2)}),
        labels(DType::i32, {x.size(0), x.size(1)}),
        counts(DType::i32, {x.size(0), clusters}) {}
};

KMeansParams params_of(const TensorView& x, const Result& result, int iterations) {
  KMeansParams params;
  params.x = x;
  params.max_iterations = iterations;
  params.seed = 5;
  params.tolerance = 0;
  params.centroids = result.centroids;
  params.labels = result.labels;
  params.counts = result.counts;
  return params;
}

/// Runs `check(run)` with every implementation that can run here.
template <typename Check>
void with_each_implementation(const KMeansParams& params, const Check& check) {
  for (const auto& entry : kmeans_implementations().entries()) {
    Context context;
    if (!entry.refusal(params, context).empty()) continue;
    SCOPED_TRACE(entry.name);
    check([&](const KMeansParams& p) { entry.run(p, context); });
  }
}

/// Sum over all rows of the squared distance to the mean of their cluster.
double inertia(const TensorView& x, const Result& result) {
  double sum = 0;
  for (std::int64_t h = 0; h < x.size(0); ++h)
    for (std::int64_t i = 0; i < x.size(1); ++i) {
      const int label = result.labels.view()[h].as<std::int32_t>()[i];
      for (std::int64_t d = 0; d < x.size(2); ++d) {
        const double difference =
            element(x[h][i], d) - result.centroids.view()[h][label].as<float>()[d];
        sum += difference * difference;
      }
    }
  return sum;
}

void expect_counts_and_means_agree_with_labels(const TensorView& x, const Result& result) {
  for (std::int64_t h = 0; h < x.size(0); ++h) {
    const std::int64_t clusters = result.counts->size(1);
    std::vector<int> counts(clusters);
    std::vector<double> mean(clusters * x.size(2));
    for (std::int64_t i = 0; i < x.size(1); ++i) {
      const int label = result.labels.view()[h].as<std::int32_t>()[i];
      ASSERT_GE(label, 0);
      ASSERT_LT(label, clusters);
      ++counts[label];
      for (std::int64_t d = 0; d < x.size(2); ++d)
        mean[label * x.size(2) + d] += element(x[h][i], d);
    }
    for (std::int64_t c = 0; c < clusters; ++c) {
      EXPECT_EQ(result.counts.view()[h].as<std::int32_t>()[c], counts[c]);
      // Sums in f32 of up to count values of size about 1, then a division.
      for (std::int64_t d = 0; d < x.size(2); ++d)
        EXPECT_NEAR(result.centroids.view()[h][c].as<float>()[d],
                    counts[c] > 0 ? mean[c * x.size(2) + d] / counts[c] : 0, 1e-5);
    }
  }
}

TEST(KMeans, counts_and_centroids_agree_with_labels) {
  for (const auto& c : kmeans_test_cases()) {
    SCOPED_TRACE(c.name);
    const Tensor x = random_tensor({c.heads, c.count, c.head_dim}, 7, c.dtype);
    Result result(x, c.clusters);
    with_each_implementation(params_of(x, result, c.iterations), [&](const auto& run) {
      run(params_of(x, result, c.iterations));
      expect_counts_and_means_agree_with_labels(x, result);
    });
  }
}

TEST(KMeans, is_as_tight_as_the_reference) {
  for (const auto& c : kmeans_test_cases()) {
    SCOPED_TRACE(c.name);
    const Tensor x = random_tensor({c.heads, c.count, c.head_dim}, 8, c.dtype);
    Result expected(x, c.clusters);
    Context context;
    kmeans_implementations().entries().back().run(params_of(x, expected, c.iterations), context);
    Result result(x, c.clusters);
    with_each_implementation(params_of(x, result, c.iterations), [&](const auto& run) {
      run(params_of(x, result, c.iterations));
      // A row between two centroids may go either way, and later iterations follow: no more than a
      // couple of percent of the inertia, against 100 % for wrong assignments.
      EXPECT_NEAR(inertia(x, result), inertia(x, expected), .02 * inertia(x, expected) + 1e-9);
    });
  }
}

TEST(KMeans, assigns_every_row_to_its_nearest_centroid) {
  for (const auto dtype : {DType::f32, DType::bf16}) {
    // A common mean far from zero, as the keys of real models have.
    const Tensor x = random_tensor({2, 400, 64}, 9, dtype, {.mean = 5});
    // Near rows of x, so that no cluster runs empty and is refilled.
    Tensor start = random_tensor({2, 21, 64}, 10, DType::f32, {.scale = .2});
    for (std::int64_t h = 0; h < 2; ++h)
      for (std::int64_t i = 0; i < 21 * 64; ++i)
        start.view()[h].as<float>()[i] +=
            static_cast<float>(element(x.view()[h], i / 64 * 7 * 64 + i % 64));
    Result result(x, 21);
    KMeansParams params = params_of(x, result, 1);
    params.warm_start = true;
    with_each_implementation(params, [&](const auto& run) {
      std::copy_n(start->as<float>(), start->numel(), result.centroids->template as<float>());
      run(params);
      for (std::int64_t h = 0; h < 2; ++h)
        for (std::int64_t i = 0; i < 400; ++i) {
          std::vector<double> squared(21);
          for (std::int64_t c = 0; c < 21; ++c)
            for (std::int64_t d = 0; d < 64; ++d) {
              const double difference =
                  element(x.view()[h][i], d) - start.view()[h][c].template as<float>()[d];
              squared[c] += difference * difference;
            }
          const int label = result.labels.view()[h].template as<std::int32_t>()[i];
          // Squared distances are about 2 * 64; a centroid rounded to bf16 moves them by about
          // 2 |x - c| |c| 2^-9 / sqrt(64), and refilling does not happen here.
          EXPECT_LE(squared[label], *std::min_element(squared.begin(), squared.end()) +
                                        (dtype == DType::bf16 ? .3 : 1e-3));
        }
    });
  }
}

TEST(KMeans, finds_well_separated_groups_wherever_it_starts) {
  // Eight groups of 40 rows; neighbours belong together.
  Tensor x = random_tensor({1, 320, 16}, 3, DType::f32, {.scale = .01});
  const Tensor centers = random_tensor({8, 16}, 4);
  for (std::int64_t i = 0; i < 320; ++i)
    for (std::int64_t d = 0; d < 16; ++d)
      x.view()[0][i].as<float>()[d] += centers.view()[i / 40].as<float>()[d];
  Result result(x, 8);
  with_each_implementation(params_of(x, result, 10), [&](const auto& run) {
    run(params_of(x, result, 10));
    const auto* labels = result.labels->as<std::int32_t>();
    std::set<int> seen;
    for (int group = 0; group < 8; ++group) {
      seen.insert(labels[group * 40]);
      for (int i = 0; i < 40; ++i) EXPECT_EQ(labels[group * 40 + i], labels[group * 40]);
    }
    EXPECT_EQ(seen.size(), 8u);
  });
}

TEST(KMeans, refills_empty_clusters_from_the_largest_ones) {
  const Tensor x = random_tensor({1, 256, 16}, 5);
  Result result(x, 12);
  KMeansParams params = params_of(x, result, 1);
  params.warm_start = true;
  with_each_implementation(params, [&](const auto& run) {
    // All centroids but one are far from every row.
    for (int c = 0; c < 12; ++c)
      std::fill_n(result.centroids.view()[0][c].template as<float>(), 16, c == 0 ? 0.F : 1000.F);
    run(params);
    const auto* counts = result.counts->template as<std::int32_t>();
    EXPECT_EQ(std::count(counts, counts + 12, 0), 0);
    expect_counts_and_means_agree_with_labels(x, result);
    EXPECT_LT(inertia(x, result), .98 * 256 * 16);
  });
}

TEST(KMeans, leaves_clusters_empty_that_only_duplicates_could_fill) {
  for (const auto dtype : {DType::f32, DType::bf16}) {
    const Tensor x = constant_tensor({2, 100, 24}, 1.7, dtype);
    Result result(x, 9);
    with_each_implementation(params_of(x, result, 5), [&](const auto& run) {
      run(params_of(x, result, 5));
      for (std::int64_t h = 0; h < 2; ++h) {
        const auto* counts = result.counts.view()[h].template as<std::int32_t>();
        EXPECT_EQ(*std::max_element(counts, counts + 9), 100);
      }
      expect_counts_and_means_agree_with_labels(x, result);
    });
  }
}

TEST(KMeans, gives_every_row_a_cluster_of_its_own_when_there_are_enough) {
  const Tensor x = random_tensor({1, 10, 8}, 5);
  Result result(x, 30);
  with_each_implementation(params_of(x, result, 3), [&](const auto& run) {
    run(params_of(x, result, 3));
    EXPECT_LT(inertia(x, result), 1e-8);
    EXPECT_EQ(max_abs(result.counts), 1);
  });
}

TEST(KMeans, is_the_same_for_a_seed_whatever_the_threads) {
  const Tensor x = random_tensor({3, 1000, 32}, 6, DType::bf16);
  for (const auto& entry : kmeans_implementations().entries()) {
    SCOPED_TRACE(entry.name);
    Result first(x, 40);
    Result second(x, 40);
    for (const int threads : {1, 2, 5}) {
      Context context;
      context.threads = threads;
      Result& result = threads == 1 ? first : second;
      if (!entry.refusal(params_of(x, result, 5), context).empty()) continue;
      entry.run(params_of(x, result, 5), context);
      if (threads == 1) continue;
      EXPECT_TRUE(bit_equal(second.labels, first.labels));
      EXPECT_TRUE(bit_equal(second.centroids, first.centroids));
    }
  }
}

TEST(KMeans, gives_the_same_bits_in_every_call) {
  // A block of rows for each multiprocessor of an H200, and as many of a second head whose rows lie
  // beside them: these come so soon that they once overwrote rows that a warp had yet to read, in
  // one call of seventy.
  const Tensor memory = random_tensor({132 * 256, 2, 64}, 6, DType::bf16);
  const TensorView x = memory.view().transpose(0, 1);
  Result result(x, 300);
  const auto& entries = kmeans_implementations().entries();
  for (const auto& entry : entries) {
    Context context;
    if (&entry == &entries.back() || !entry.refusal(params_of(x, result, 1), context).empty())
      continue;
    SCOPED_TRACE(entry.name);
    Result first(x, 300);
    entry.run(params_of(x, first, 1), context);
    const int calls = entry.device == Device::cuda ? 300 : 2;
    for (int call = 0; call < calls && !HasFailure(); ++call) {
      entry.run(params_of(x, result, 1), context);
      EXPECT_TRUE(bit_equal(result.labels, first.labels));
      EXPECT_TRUE(bit_equal(result.centroids, first.centroids));
    }
  }
}

TEST(KMeans, stops_once_the_centroids_rest) {
  const Tensor x = random_tensor({1, 200, 8}, 6);
  Result settled(x, 6);
  with_each_implementation(params_of(x, settled, 200), [&](const auto& run) {
    KMeansParams params = params_of(x, settled, 200);
    run(params);
    const Tensor before = clone(settled.centroids);
    params.warm_start = true;
    params.max_iterations = 50;
    params.tolerance = 1e-4;
    run(params);
    EXPECT_TRUE(close(settled.centroids, before, 1e-5));
  });
}

TEST(KMeans, reads_strided_rows_and_writes_strided_labels) {
  // [count, heads, head_dim] as models hold it, inside a longer sequence.
  const Tensor storage = random_tensor({260, 2, 32}, 12, DType::bf16);
  const TensorView strided = storage->transpose(0, 1).slice(1, 30, 200);
  const Tensor packed = clone(strided);
  Result expected(packed, 16);
  Result result(packed, 16);
  const Tensor labels = constant_tensor({2, 260}, -7, DType::i32);
  with_each_implementation(params_of(packed, expected, 3), [&](const auto& run) {
    run(params_of(packed, expected, 3));
    KMeansParams params = params_of(strided, result, 3);
    params.labels = labels->slice(1, 30, 200);
    run(params);
    EXPECT_TRUE(bit_equal(params.labels, expected.labels));
    EXPECT_EQ(element(labels, 29), -7);
    EXPECT_EQ(element(labels, 230), -7);
  });
}

TEST(KMeans, labels_rows_that_are_not_numbers_inside_the_range) {
  const Tensor x = constant_tensor({1, 40, 8}, std::nan(""), DType::bf16);
  Result result(x, 5);
  with_each_implementation(params_of(x, result, 2), [&](const auto& run) {
    run(params_of(x, result, 2));
    for (std::int64_t i = 0; i < 40; ++i) {
      EXPECT_GE(element(result.labels, i), 0);
      EXPECT_LT(element(result.labels, i), 5);
    }
  });
}

TEST(KMeansSeed, gives_distinct_rows_spread_over_the_sequence) {
  for (const std::int64_t clusters : {1, 7, 64, 100}) {
    std::int64_t last = -1;
    for (std::int64_t c = 0; c < clusters; ++c) {
      const auto row = kmeans_seed_row(3, 1, c, clusters, 100);
      EXPECT_GT(row, last);
      EXPECT_LT(row, 100);
      last = row;
    }
  }
  EXPECT_EQ(kmeans_seed_row(3, 1, 10, 30, 10), -1);
}

}  // namespace
}  // namespace sparsevid::ops
