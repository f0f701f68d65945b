#include "testing/random_tensor.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "testing/element.h"

namespace sparsevid {
namespace {

// splitmix64: the standard library's distributions differ between implementations.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15ULL + 1) {}
  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27U)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31U);
  }
  /// In (0, 1].
  double uniform() { return static_cast<double>((next() >> 11U) + 1) * 0x1p-53; }
  double normal() {
    const double radius = std::sqrt(-2 * std::log(uniform()));
    return radius * std::cos(2 * 3.14159265358979323846 * uniform());
  }

 private:
  std::uint64_t state_;
};

void store(const TensorView& out, std::int64_t index, double value) {
  switch (out.dtype()) {
    case DType::f64:
      out.as<double>()[index] = value;
      return;
    case DType::f32:
      out.as<float>()[index] = static_cast<float>(value);
      return;
    case DType::bf16:
      out.as<bf16>()[index] = bf16(static_cast<float>(value));
      return;
    case DType::i64:
      out.as<std::int64_t>()[index] = static_cast<std::int64_t>(value);
      return;
    case DType::i32:
      out.as<std::int32_t>()[index] = static_cast<std::int32_t>(value);
      return;
    case DType::u8:
      out.as<std::uint8_t>()[index] = static_cast<std::uint8_t>(value);
      return;
    case DType::f16:
      break;
  }
  fail(ErrorKind::internal, "test tensors cannot be written as {}", to_string(out.dtype()));
}

}  // namespace

Tensor random_tensor(const Shape& shape, std::uint64_t seed, DType dtype,
                     const RandomOptions& options) {
  Tensor out(dtype, shape);
  Random random(seed);
  constexpr std::int64_t kPeriod = 1 << 24;
  const std::int64_t count = std::min(shape.numel(), kPeriod);
  for (std::int64_t i = 0; i < count; ++i) {
    double value = options.mean + options.scale * random.normal();
    if (options.outlier_fraction > 0 && random.uniform() <= options.outlier_fraction) {
      value *= options.outlier_scale;
    }
    store(out, i, value);
  }
  const std::size_t bytes = static_cast<std::size_t>(kPeriod) * size_of(dtype);
  auto* memory = static_cast<std::byte*>(out->data());
  for (std::size_t done = bytes; done < out->bytes(); done += bytes)
    std::memcpy(memory + done, memory, std::min(bytes, out->bytes() - done));
  return out;
}

Tensor random_integers(const Shape& shape, std::uint64_t seed, int low, int high, DType dtype) {
  Tensor out(dtype, shape);
  Random random(seed);
  const auto span = static_cast<std::uint64_t>(high - low) + 1;
  for (std::int64_t i = 0; i < shape.numel(); ++i) {
    store(out, i, low + static_cast<double>(random.next() % span));
  }
  return out;
}

Tensor constant_tensor(const Shape& shape, double value, DType dtype) {
  Tensor out(dtype, shape);
  for (std::int64_t i = 0; i < shape.numel(); ++i) store(out, i, value);
  return out;
}

Tensor tensor_of(const Shape& shape, const std::vector<double>& values, DType dtype) {
  require(static_cast<std::int64_t>(values.size()) == shape.numel(), ErrorKind::internal,
          "tensor_of: {} values for shape {}", values.size(), shape.str());
  Tensor out(dtype, shape);
  for (std::size_t i = 0; i < values.size(); ++i) {
    store(out, static_cast<std::int64_t>(i), values[i]);
  }
  return out;
}

Tensor convert(const TensorView& view, DType dtype) {
  Tensor out(dtype, view.shape());
  for (std::int64_t i = 0; i < view.numel(); ++i) store(out, i, element(view, i));
  return out;
}

Tensor clone(const TensorView& view) { return convert(view, view.dtype()); }

std::vector<double> to_vector(const TensorView& view) {
  std::vector<double> values(static_cast<std::size_t>(view.numel()));
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = element(view, static_cast<std::int64_t>(i));
  }
  return values;
}

}  // namespace sparsevid
