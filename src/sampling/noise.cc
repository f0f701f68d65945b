// PyTorch draws 24-bit uniforms from mt19937 and turns blocks of 16 into normals (Box-Muller) with
// single-precision polynomials of its AVX2 kernel; those are the ones of the Cephes library. The
// C library's more accurate logf, sinf and cosf would differ by up to 3 ulp, so the polynomials are
// evaluated here in the same order, with fused multiply-adds where that kernel has them.
#include "sampling/noise.h"

#include <array>
#include <cmath>
#include <random>

#include "base/error.h"

namespace sparsevid {
namespace {

constexpr std::int64_t kBlock = 16;
constexpr std::int64_t kHalf = kBlock / 2;

template <std::size_t N>
float polynomial(float x, const std::array<float, N>& coefficients) {
  float y = coefficients[0];
  for (std::size_t i = 1; i < N; ++i) y = std::fma(y, x, coefficients[i]);
  return y;
}

/// Natural logarithm of a normal positive number.
float cephes_log(float value) {
  constexpr std::array<float, 9> kLog = {7.0376836292E-2F,  -1.1514610310E-1F, 1.1676998740E-1F,
                                         -1.2420140846E-1F, 1.4249322787E-1F,  -1.6668057665E-1F,
                                         2.0000714765E-1F,  -2.4999993993E-1F, 3.3333331174E-1F};
  constexpr float kLn2Low = -2.12194440e-4F;
  constexpr float kLn2High = 0.693359375F;
  int exponent = 0;
  float x = std::frexp(value, &exponent);
  if (x < 0.707106781186547524F) {
    exponent -= 1;
    x = x + x - 1;
  } else {
    x -= 1;
  }
  const auto e = static_cast<float>(exponent);
  const float square = x * x;
  float y = polynomial(x, kLog) * x;
  y = std::fma(y, square, e * kLn2Low);
  y = std::fma(-square, 0.5F, y);
  return std::fma(e, kLn2High, x + y);
}

struct SineCosine {
  float sine;
  float cosine;
};

/// Of an angle in [0, 2 pi].
SineCosine cephes_sincos(float angle) {
  constexpr float kFourOverPi = 1.27323954473516F;
  constexpr std::array<float, 3> kMinusQuarterPi = {-0.78515625F, -2.4187564849853515625e-4F,
                                                    -3.77489497744594108e-8F};
  constexpr std::array<float, 3> kCosine = {2.443315711809948E-5F, -1.388731625493765E-3F,
                                            4.166664568298827E-2F};
  constexpr std::array<float, 3> kSine = {-1.9515295891E-4F, 8.3321608736E-3F, -1.6666654611E-1F};
  const int octant = (static_cast<int>(angle * kFourOverPi) + 1) & ~1;
  const auto turns = static_cast<float>(octant);
  float x = angle;
  for (const float part : kMinusQuarterPi) x = std::fma(turns, part, x);
  const float square = x * x;
  const float even =
      std::fma(polynomial(square, kCosine) * square, square, -(square * 0.5F)) + 1.0F;
  const float odd = std::fma(polynomial(square, kSine) * square, x, x);
  const bool swapped = (octant & 2) != 0;
  const float sine = swapped ? even : odd;
  const float cosine = swapped ? odd : even;
  return {(octant & 4) != 0 ? -sine : sine, ((octant - 2) & 4) == 0 ? -cosine : cosine};
}

void fill_uniform(std::mt19937& engine, float* out, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) {
    out[i] = static_cast<float>(engine() & 0xffffffU) * 0x1p-24F;
  }
}

void to_normal(float* block) {
  constexpr float kTwoPi = 6.283185307179586F;
  for (std::int64_t i = 0; i < kHalf; ++i) {
    const float radius = std::sqrt(-2 * cephes_log(1 - block[i]));
    const auto [sine, cosine] = cephes_sincos(kTwoPi * block[i + kHalf]);
    block[i] = radius * cosine;
    block[i + kHalf] = radius * sine;
  }
}

double uniform_double(std::mt19937& engine) {
  const std::uint64_t high = engine();
  const std::uint64_t low = engine();
  return static_cast<double>((high << 32U | low) & ((1ULL << 53U) - 1)) * 0x1p-53;
}

// Fewer values than a block go through double precision, two at a time.
void fill_few(std::mt19937& engine, float* out, std::int64_t count) {
  for (std::int64_t i = 0; i < count; i += 2) {
    const double angle = 2 * 3.14159265358979323846 * uniform_double(engine);
    const double radius = std::sqrt(-2 * std::log1p(-uniform_double(engine)));
    out[i] = static_cast<float>(radius * std::cos(angle));
    if (i + 1 < count) out[i + 1] = static_cast<float>(radius * std::sin(angle));
  }
}

}  // namespace

void torch_randn(std::uint64_t seed, const TensorView& out) {
  require(out.dtype() == DType::f32 && out.contiguous(), ErrorKind::internal,
          "noise: expected a contiguous f32 tensor, found {} {}", to_string(out.dtype()),
          out.shape().str());
  std::mt19937 engine(static_cast<std::uint32_t>(seed));
  auto* values = out.as<float>();
  const std::int64_t count = out.numel();
  if (count < kBlock) return fill_few(engine, values, count);
  fill_uniform(engine, values, count);
  for (std::int64_t i = 0; i + kBlock <= count; i += kBlock) to_normal(values + i);
  if (count % kBlock != 0) {  // the last 16 values are drawn anew
    fill_uniform(engine, values + count - kBlock, kBlock);
    to_normal(values + count - kBlock);
  }
}

}  // namespace sparsevid
