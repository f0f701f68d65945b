#include "pipeline/finite.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "testing/random_tensor.h"

namespace sparsevid {
namespace {

constexpr float kNotFinite[] = {std::numeric_limits<float>::quiet_NaN(),
                                std::numeric_limits<float>::infinity(),
                                -std::numeric_limits<float>::infinity()};

TEST(Finite, OneValueThatIsNotIsFoundInEitherType) {
  for (const float bad : kNotFinite) {
    Tensor x = random_tensor({3, 100, 1000}, 1);
    Tensor narrow = random_tensor({3, 100, 1000}, 1, DType::bf16);
    EXPECT_TRUE(all_finite(x, 2));
    EXPECT_TRUE(all_finite(narrow, 2));
    x->as<float>()[271'828] = bad;
    narrow->as<bf16>()[271'828] = bf16(bad);
    EXPECT_FALSE(all_finite(x, 2)) << bad;
    EXPECT_FALSE(all_finite(narrow, 2)) << bad;
  }
}

TEST(Finite, LargeNumbersAreFinite) {
  const float largest = std::numeric_limits<float>::max();
  Context context;
  const Tensor x = constant_tensor({1 << 18}, largest);
  EXPECT_TRUE(all_finite(x, 2));
  EXPECT_TRUE(all_finite(folded(x, context), 2));
}

// What a GPU does, with the same ops.
TEST(Finite, FoldingLeavesFewValuesAndLosesNone) {
  constexpr std::int64_t kCount = 3 << 18;
  Context context;
  for (const float bad : kNotFinite)
    for (const std::int64_t at : {std::int64_t{0}, kCount / 4, kCount / 2 - 1, kCount - 1}) {
      Tensor x = random_tensor({kCount}, 1);
      EXPECT_TRUE(all_finite(folded(x, context), 2));
      x->as<float>()[at] = bad;
      const TensorView few = folded(x, context);
      EXPECT_LE(few.numel(), 1 << 16);
      EXPECT_FALSE(all_finite(few, 2)) << bad << " at " << at;
    }
}

TEST(Finite, WhatDoesNotDivideIsFoldedAsFarAsItGoes) {
  Context context;
  Tensor x = random_tensor({4 * 100'003}, 1);
  EXPECT_EQ(folded(x, context).numel(), 100'003);
  x->as<float>()[4 * 100'003 - 1] = kNotFinite[0];
  EXPECT_FALSE(all_finite(folded(x, context), 2));
}

}  // namespace
}  // namespace sparsevid
