#include "ops/quantize_rows.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "core/e4m3.h"
#include "ops/quantize_rows_cases.h"

namespace sparsevid::ops {
namespace {

class QuantizeRowsCases : public ::testing::TestWithParam<QuantizeRowsCase> {};

TEST_P(QuantizeRowsCases, EveryImplementationGivesTheBitsOfTheReference) {
  const QuantizeRowsInputs inputs(GetParam());
  expect_agreement(quantize_rows_implementations(), inputs.params, inputs.params.out, 0);
  expect_agreement(quantize_rows_implementations(), inputs.params, inputs.params.scale, 0);
}

INSTANTIATE_TEST_SUITE_P(All, QuantizeRowsCases, ::testing::ValuesIn(quantize_rows_cases()),
                         case_name);

/// A row with 448 in it, so that the scale is 1 and each value is rounded to an e4m3.
void expect_rounded(const std::vector<double>& values, const std::vector<double>& rounded) {
  const auto count = static_cast<std::int64_t>(values.size());
  const Tensor x = tensor_of({1, count}, values);
  const Tensor out(DType::u8, {1, count});
  const Tensor scale(DType::f32, {1});
  Context context;
  for (const auto& entry : quantize_rows_implementations().entries()) {
    if (!entry.refusal({x, out, scale}, context).empty()) continue;
    entry.run({x, out, scale}, context);
    EXPECT_EQ(scale->as<float>()[0], 1) << entry.name;
    for (std::size_t i = 0; i < values.size(); ++i)
      EXPECT_EQ(from_e4m3(out->as<std::uint8_t>()[i]), rounded[i]) << entry.name << ' ' << i;
  }
}

TEST(QuantizeRows, RestoresWhatE4m3CanHold) {
  // Down to the smallest.
  const std::vector<double> values = {448, -448, 1, -0.875, 0.0625, 0x1p-9, -0x1p-9, 0};
  expect_rounded(values, values);
}

TEST(QuantizeRows, RoundsTiesToEvenAndCarriesIntoTheExponent) {
  // Between 16 and 32 the spacing is 2; 31 lies between 30 and 32.
  expect_rounded({448, 17, 19, 31, 31.5, 0x1.8p-9, 0x1p-10, 447},
                 {448, 16, 20, 32, 32, 0x1p-8, 0, 448});
}

TEST(QuantizeRows, GivesARowOfZerosTheScaleOne) {
  const Tensor x = constant_tensor({2, 40}, 0);
  const Tensor out = random_integers({2, 40}, 1, 0, 255, DType::u8);
  const Tensor scale(DType::f32, {2});
  Context context;
  quantize_rows({x, out, scale}, context);
  for (int i = 0; i < 80; ++i) EXPECT_EQ(out->as<std::uint8_t>()[i] & 0x7f, 0);
  EXPECT_EQ(scale->as<float>()[1], 1);
}

TEST(E4m3, EveryNumberComesBackAsItself) {
  for (int bits = 0; bits < 256; ++bits) {
    const float value = from_e4m3(static_cast<std::uint8_t>(bits));
    if (std::isnan(value)) continue;
    EXPECT_EQ(to_e4m3(value), bits);
  }
}

}  // namespace
}  // namespace sparsevid::ops
