// Squared differences in integers, so that the sum is exact.
#include "metrics/psnr.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "base/error.h"

namespace sparsevid {

double mean_squared_error(const Image& a, const Image& b) {
  require(a.width == b.width && a.height == b.height && !a.rgb.empty(), ErrorKind::bad_input,
          "expected two pictures of one size, found {} x {} and {} x {}", a.width, a.height,
          b.width, b.height);
  // 4,096 squares of at most 255^2 fit in 32 bits, which the compiler can vectorise.
  constexpr std::size_t kPiece = 4096;
  std::int64_t sum = 0;
  for (std::size_t begin = 0; begin < a.rgb.size(); begin += kPiece) {
    const std::size_t end = std::min(begin + kPiece, a.rgb.size());
    std::int32_t part = 0;
    for (std::size_t i = begin; i < end; ++i) {
      const int difference = a.rgb[i] - b.rgb[i];
      part += difference * difference;
    }
    sum += part;
  }
  return static_cast<double>(sum) / static_cast<double>(a.rgb.size());
}

double psnr_of_mse(double mse) {
  if (mse <= 0) return std::numeric_limits<double>::infinity();
  return 10 * std::log10(255.0 * 255.0 / mse);
}

}  // namespace sparsevid
