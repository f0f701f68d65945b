// Mean and variance of one row, in double.
#pragma once

#include <cstdint>

#include "ops/ref/element.h"

namespace sparsevid::ops::ref {

struct RowStatistics {
  double mean;
  double variance;  ///< divided by the number of elements
};

inline RowStatistics row_statistics(const TensorView& x, std::int64_t row) {
  const auto dim = static_cast<double>(x.size(1));
  double mean = 0;
  for (std::int64_t i = 0; i < x.size(1); ++i) mean += load(x, row, i) / dim;
  double variance = 0;
  for (std::int64_t i = 0; i < x.size(1); ++i) {
    const double distance = load(x, row, i) - mean;
    variance += distance * distance / dim;
  }
  return {mean, variance};
}

}  // namespace sparsevid::ops::ref
