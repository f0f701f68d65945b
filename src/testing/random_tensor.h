// Seeded tensors for tests and benchmarks.
#pragma once

#include <cstdint>
#include <vector>

#include "core/tensor.h"

namespace sparsevid {

struct RandomOptions {
  double mean = 0;
  double scale = 1;             ///< standard deviation
  double outlier_fraction = 0;  ///< this share of the elements is multiplied by outlier_scale
  double outlier_scale = 30;
};

/// Normally distributed; the same on every machine and for every dtype up to its rounding. Repeats
/// itself after 2^24 elements, which only benchmarks reach.
Tensor random_tensor(const Shape& shape, std::uint64_t seed, DType dtype = DType::f32,
                     const RandomOptions& options = {});
/// Whole numbers in [low, high], of type i32, i64 or u8.
Tensor random_integers(const Shape& shape, std::uint64_t seed, int low, int high,
                       DType dtype = DType::i32);
Tensor constant_tensor(const Shape& shape, double value, DType dtype = DType::f32);
/// Row-major values; their number must be the shape's numel.
Tensor tensor_of(const Shape& shape, const std::vector<double>& values, DType dtype = DType::f32);
/// A contiguous copy in another (or the same) type; f16 cannot be a target.
Tensor convert(const TensorView& view, DType dtype);
/// A contiguous copy.
Tensor clone(const TensorView& view);
/// The elements as doubles, row-major.
std::vector<double> to_vector(const TensorView& view);

}  // namespace sparsevid
