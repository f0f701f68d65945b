#include "testing/random_tensor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "testing/compare.h"

namespace sparsevid {
namespace {

constexpr std::int64_t kCount = 40'000;
// Five standard errors of a mean of kCount values with standard deviation 1.
const double kMeanTolerance = 5 / std::sqrt(static_cast<double>(kCount));

TEST(RandomTensor, IsNormalWithTheMeanAndScaleAskedFor) {
  RandomOptions options;
  options.mean = 2;
  options.scale = 0.5;
  const auto values = to_vector(random_tensor({kCount}, 1, DType::f64, options));
  double mean = 0;
  double square = 0;
  for (const double value : values) mean += value / kCount;
  for (const double value : values) square += (value - mean) * (value - mean) / kCount;
  EXPECT_NEAR(mean, 2, 0.5 * kMeanTolerance);
  // The variance of a squared normal is twice the variance squared.
  EXPECT_NEAR(square, 0.25, 0.25 * std::sqrt(2.0) * kMeanTolerance);
}

TEST(RandomTensor, DependsOnTheSeedOnly) {
  EXPECT_TRUE(bit_equal(random_tensor({100}, 7), random_tensor({100}, 7)));
  EXPECT_FALSE(bit_equal(random_tensor({100}, 7), random_tensor({100}, 8)));
  EXPECT_TRUE(bit_equal(random_tensor({100}, 7, DType::bf16),
                        convert(random_tensor({100}, 7), DType::bf16)));
}

TEST(RandomTensor, OutliersAreAsManyAsAskedFor) {
  RandomOptions options;
  options.outlier_fraction = 0.02;
  options.outlier_scale = 1000;
  const auto values = to_vector(random_tensor({kCount}, 1, DType::f32, options));
  const auto large = std::count_if(values.begin(), values.end(),
                                   [](double value) { return std::abs(value) > 10; });
  // 2 % of 40,000 less the 1 % of them that stay below 10; five standard deviations of the count.
  EXPECT_NEAR(static_cast<double>(large), 794, 5 * std::sqrt(794.0));
}

TEST(RandomTensor, IntegersCoverTheirRange) {
  for (const auto dtype : {DType::i32, DType::i64, DType::u8}) {
    const auto values = to_vector(random_integers({1000}, 3, 2, 5, dtype));
    EXPECT_EQ(*std::min_element(values.begin(), values.end()), 2);
    EXPECT_EQ(*std::max_element(values.begin(), values.end()), 5);
  }
}

TEST(RandomTensor, CloneMakesAViewContiguous) {
  const auto matrix = tensor_of({2, 3}, {1, 2, 3, 4, 5, 6});
  const auto copy = clone(matrix->transpose(0, 1));
  EXPECT_TRUE(copy->contiguous());
  EXPECT_EQ(to_vector(copy), (std::vector<double>{1, 4, 2, 5, 3, 6}));
}

}  // namespace
}  // namespace sparsevid
