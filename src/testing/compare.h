// How far two tensors are from each other, for tests.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "core/tensor.h"
#include "testing/element.h"

namespace sparsevid {

/// ||actual - expected|| / ||expected||, accumulated in double; the norm of `actual` when
/// `expected` is all zero. Infinity when the shapes differ or a NaN or infinity stands on one side
/// only.
double relative_error(const TensorView& actual, const TensorView& expected);
/// The largest |actual - expected|; infinity as above.
double max_abs_error(const TensorView& actual, const TensorView& expected);
/// Largest |element|; NaN if there is one.
double max_abs(const TensorView& view);
/// sqrt(mean of squares).
double rms(const TensorView& view);
/// Neither NaN nor infinity anywhere.
bool all_finite(const TensorView& view);
/// Distance of two floats in units in the last place; a large number when either is NaN.
std::int64_t ulp_distance(float a, float b);

/// For EXPECT_TRUE: relative_error <= tolerance. The message gives both shapes, the relative and
/// the largest error, and the coordinate and the values where the largest stands.
::testing::AssertionResult close(const TensorView& actual, const TensorView& expected,
                                 double tolerance);
/// For EXPECT_TRUE: max_abs_error <= tolerance.
::testing::AssertionResult close_abs(const TensorView& actual, const TensorView& expected,
                                     double tolerance);
/// For EXPECT_TRUE: same shape, type and bits; the message names the first coordinate that differs.
::testing::AssertionResult bit_equal(const TensorView& actual, const TensorView& expected);

/// "[0, 3, 17]" for a row-major position.
std::string coordinate(const Shape& shape, std::int64_t index);

}  // namespace sparsevid
