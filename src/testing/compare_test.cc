#include "testing/compare.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "testing/random_tensor.h"

namespace sparsevid {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

TEST(Compare, RelativeErrorIsTheRatioOfNorms) {
  const auto expected = tensor_of({2, 2}, {3, 0, 0, 4});
  EXPECT_DOUBLE_EQ(relative_error(tensor_of({2, 2}, {3, 0, 0, 4.5}), expected), 0.1);
  EXPECT_DOUBLE_EQ(max_abs_error(tensor_of({2, 2}, {3, 0, 1, 4.5}), expected), 1);
  EXPECT_EQ(relative_error(expected, expected), 0);
  EXPECT_DOUBLE_EQ(relative_error(expected, constant_tensor({2, 2}, 0)), 5);
}

TEST(Compare, FollowsStridesAndMixesTypes) {
  const auto matrix = tensor_of({2, 3}, {1, 2, 3, 4, 5, 6});
  const auto turned = tensor_of({3, 2}, {1, 4, 2, 5, 3, 6}, DType::bf16);
  EXPECT_EQ(relative_error(matrix->transpose(0, 1), turned), 0);
  EXPECT_EQ(element(matrix->slice(1, 1, 2), 2), 5);
}

TEST(Compare, NanAndInfinityMustStandAtTheSamePlaces) {
  const auto expected = tensor_of({3}, {kNan, kInfinity, 1});
  EXPECT_EQ(relative_error(tensor_of({3}, {kNan, kInfinity, 1}), expected), 0);
  EXPECT_EQ(relative_error(tensor_of({3}, {kNan, -kInfinity, 1}), expected), kInfinity);
  EXPECT_EQ(relative_error(tensor_of({3}, {0, kInfinity, 1}), expected), kInfinity);
  EXPECT_EQ(relative_error(tensor_of({3}, {kNan, kInfinity, kNan}), expected), kInfinity);
  EXPECT_FALSE(all_finite(expected));
  EXPECT_TRUE(std::isnan(max_abs(expected)));
}

TEST(Compare, ShapesThatDifferNeverCompareEqual) {
  const std::string message = close(constant_tensor({2}, 0), constant_tensor({3}, 0), 1).message();
  EXPECT_EQ(message, "shape [2], expected [3]");
  EXPECT_EQ(max_abs_error(constant_tensor({2}, 0), constant_tensor({3}, 0)), kInfinity);
}

TEST(Compare, TheMessageNamesTheWorstCoordinate) {
  const auto actual = tensor_of({2, 2}, {1, 2, 3.5, 4});
  const auto expected = tensor_of({2, 2}, {1, 2, 3, 4});
  const std::string message = close(actual, expected, 1e-3).message();
  EXPECT_NE(message.find("at [1, 0] (found 3.5, expected 3)"), std::string::npos) << message;
  EXPECT_TRUE(close(actual, expected, 0.1));
  EXPECT_TRUE(close_abs(actual, expected, 0.5));
  EXPECT_FALSE(close_abs(actual, expected, 0.49));
}

TEST(Compare, BitEqualTellsZerosAndTypesApart) {
  const auto zero = constant_tensor({2}, 0.0);
  EXPECT_TRUE(bit_equal(zero, constant_tensor({2}, 0.0)));
  EXPECT_FALSE(bit_equal(zero, constant_tensor({2}, -0.0)));
  EXPECT_FALSE(bit_equal(zero, constant_tensor({2}, 0.0, DType::f64)));
  EXPECT_FALSE(bit_equal(zero, constant_tensor({1, 2}, 0.0)));
}

TEST(Compare, UlpDistanceCountsFloatsBetween) {
  EXPECT_EQ(ulp_distance(1.0F, std::nextafter(1.0F, 2.0F)), 1);
  EXPECT_EQ(ulp_distance(-0.0F, 0.0F), 0);
  EXPECT_EQ(ulp_distance(-std::numeric_limits<float>::denorm_min(),
                         std::numeric_limits<float>::denorm_min()),
            2);
  EXPECT_GT(ulp_distance(std::nanf(""), 0.0F), 1'000'000);
}

}  // namespace
}  // namespace sparsevid
