#include "sampling/noise.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "testing/compare.h"
#include "testing/expect_error.h"
#include "testing/golden.h"

namespace sparsevid {
namespace {

// The bound the project promises; on x86-64 every value is equal to the bit.
constexpr std::int64_t kMaxUlps = 1;

Shape shape_of(const nlohmann::json& extents) {
  Shape shape;
  for (const auto& extent : extents) shape.push_back(extent.get<std::int64_t>());
  return shape;
}

Tensor noise(std::uint64_t seed, const Shape& shape) {
  Tensor out(DType::f32, shape);
  torch_randn(seed, out);
  return out;
}

void expect_bits(const float* values, const nlohmann::json& bits, const std::string& what) {
  for (std::size_t i = 0; i < bits.size(); ++i) {
    const auto expected = std::bit_cast<float>(bits[i].get<std::uint32_t>());
    ASSERT_LE(ulp_distance(values[i], expected), kMaxUlps)
        << what << " value " << i << ": " << values[i] << ", expected " << expected;
  }
}

TEST(Noise, EqualsTorchForEveryGoldenShapeAndSeed) {
  const auto golden = read_golden_json("noise.json");
  for (const auto& item : golden.raw().at("full")) {
    const auto seed = item.at("seed").get<std::uint64_t>();
    const auto out = noise(seed, shape_of(item.at("shape")));
    ASSERT_EQ(item.at("bits").size(), static_cast<std::size_t>(out->numel()));
    expect_bits(out->as<float>(), item.at("bits"),
                "seed " + std::to_string(seed) + " shape " + out->shape().str());
  }
}

TEST(Noise, EqualsTorchAtBothEndsAndInSumOfLargeTensors) {
  const auto golden = read_golden_json("noise.json");
  for (const auto& item : golden.raw().at("summary")) {
    const auto seed = item.at("seed").get<std::uint64_t>();
    const auto out = noise(seed, shape_of(item.at("shape")));
    const auto* values = out->as<float>();
    const auto what = "seed " + std::to_string(seed) + " shape " + out->shape().str();
    expect_bits(values, item.at("first"), what);
    const auto& last = item.at("last");
    expect_bits(values + out->numel() - last.size(), last, what);
    double sum = 0;
    double sum_abs = 0;
    for (std::int64_t i = 0; i < out->numel(); ++i) {
      sum += values[i];
      sum_abs += std::abs(values[i]);
    }
    // One ulp of a value below 8 is at most 4.8e-7; the sum of n such errors is below n times that.
    const double tolerance = 4.8e-7 * static_cast<double>(out->numel());
    EXPECT_NEAR(sum, item.at("sum").get<double>(), tolerance) << what;
    EXPECT_NEAR(sum_abs / static_cast<double>(out->numel()), item.at("mean_abs").get<double>(),
                4.8e-7)
        << what;
  }
}

TEST(Noise, StartOfALongDrawDoesNotDependOnItsLength) {
  const auto longer = noise(3, {1000});
  const auto shorter = noise(3, {160});
  EXPECT_TRUE(bit_equal(shorter, longer->slice(0, 0, 160)));
}

TEST(Noise, RefusesOtherTypes) {
  Tensor out(DType::bf16, {32});
  error_of(ErrorKind::internal, [&] { torch_randn(0, out); });
}

}  // namespace
}  // namespace sparsevid
