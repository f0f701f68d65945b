#include "testing/compare.h"

#include <bit>
#include <cmath>
#include <limits>

#include "base/error.h"

namespace sparsevid {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct Difference {
  double squared_error = 0;
  double squared_norm = 0;
  double squared_actual = 0;
  double max_abs = 0;
  std::int64_t worst = 0;
  bool comparable = true;  // same shapes, and NaN and infinities at the same places

  double relative() const {
    if (!comparable) return kInfinity;
    return squared_norm > 0 ? std::sqrt(squared_error / squared_norm) : std::sqrt(squared_actual);
  }
};

bool both_same_non_finite(double a, double b) {
  return (std::isnan(a) && std::isnan(b)) || (std::isinf(a) && a == b);
}

Difference measure(const TensorView& actual, const TensorView& expected) {
  Difference result;
  if (!(actual.shape() == expected.shape())) {
    result.comparable = false;
    result.max_abs = kInfinity;
    return result;
  }
  for (std::int64_t i = 0; i < actual.numel(); ++i) {
    const double a = element(actual, i);
    const double b = element(expected, i);
    if (both_same_non_finite(a, b)) continue;
    const double error = std::isfinite(a) && std::isfinite(b) ? std::abs(a - b) : kInfinity;
    if (error > result.max_abs) {
      result.max_abs = error;
      result.worst = i;
    }
    if (error == kInfinity) {
      result.comparable = false;
      continue;
    }
    result.squared_error += error * error;
    result.squared_norm += b * b;
    result.squared_actual += a * a;
  }
  return result;
}

::testing::AssertionResult report(const TensorView& actual, const TensorView& expected,
                                  const Difference& difference, double tolerance,
                                  const char* what) {
  auto failure = ::testing::AssertionFailure();
  if (!(actual.shape() == expected.shape())) {
    return failure << "shape " << actual.shape().str() << ", expected " << expected.shape().str();
  }
  return failure << what << " error above " << tolerance << ": relative " << difference.relative()
                 << ", largest " << difference.max_abs << " at "
                 << coordinate(actual.shape(), difference.worst) << " (found "
                 << element(actual, difference.worst) << ", expected "
                 << element(expected, difference.worst) << ")";
}

}  // namespace

double relative_error(const TensorView& actual, const TensorView& expected) {
  return measure(actual, expected).relative();
}

double max_abs_error(const TensorView& actual, const TensorView& expected) {
  return measure(actual, expected).max_abs;
}

double max_abs(const TensorView& view) {
  double largest = 0;
  for (std::int64_t i = 0; i < view.numel(); ++i) {
    const double value = std::abs(element(view, i));
    if (std::isnan(value)) return value;
    largest = std::max(largest, value);
  }
  return largest;
}

double rms(const TensorView& view) {
  double sum = 0;
  for (std::int64_t i = 0; i < view.numel(); ++i) sum += element(view, i) * element(view, i);
  return view.numel() > 0 ? std::sqrt(sum / static_cast<double>(view.numel())) : 0;
}

bool all_finite(const TensorView& view) {
  for (std::int64_t i = 0; i < view.numel(); ++i) {
    if (!std::isfinite(element(view, i))) return false;
  }
  return true;
}

std::int64_t ulp_distance(float a, float b) {
  if (std::isnan(a) || std::isnan(b)) return std::numeric_limits<std::int64_t>::max();
  // Maps the floats to integers in their order, with both zeros on 0.
  const auto ordered = [](float value) -> std::int64_t {
    const std::int64_t bits = std::bit_cast<std::uint32_t>(value);
    return bits < 0x80000000LL ? bits : 0x80000000LL - bits;
  };
  return std::abs(ordered(a) - ordered(b));
}

::testing::AssertionResult close(const TensorView& actual, const TensorView& expected,
                                 double tolerance) {
  const Difference difference = measure(actual, expected);
  if (difference.relative() <= tolerance) return ::testing::AssertionSuccess();
  return report(actual, expected, difference, tolerance, "relative");
}

::testing::AssertionResult close_abs(const TensorView& actual, const TensorView& expected,
                                     double tolerance) {
  const Difference difference = measure(actual, expected);
  if (difference.comparable && difference.max_abs <= tolerance)
    return ::testing::AssertionSuccess();
  return report(actual, expected, difference, tolerance, "absolute");
}

::testing::AssertionResult bit_equal(const TensorView& actual, const TensorView& expected) {
  auto failure = ::testing::AssertionFailure();
  if (!(actual.shape() == expected.shape()) || actual.dtype() != expected.dtype()) {
    return failure << to_string(actual.dtype()) << actual.shape().str() << ", expected "
                   << to_string(expected.dtype()) << expected.shape().str();
  }
  for (std::int64_t i = 0; i < actual.numel(); ++i) {
    const double a = element(actual, i);
    const double b = element(expected, i);
    if (std::bit_cast<std::uint64_t>(a) != std::bit_cast<std::uint64_t>(b)) {
      return failure << "differs at " << coordinate(actual.shape(), i) << ": found " << a
                     << ", expected " << b;
    }
  }
  return ::testing::AssertionSuccess();
}

std::string coordinate(const Shape& shape, std::int64_t index) {
  std::string text;
  for (int axis = shape.rank() - 1; axis >= 0; --axis) {
    text.insert(0, fmt::format("{}{}", index % shape[axis], text.empty() ? "" : ", "));
    index /= shape[axis];
  }
  return "[" + text + "]";
}

}  // namespace sparsevid
