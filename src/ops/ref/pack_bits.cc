#include "ops/ref/pack_bits.h"

#include <algorithm>

namespace sparsevid::ops::ref {
namespace {

template <typename Run>
void with_integers(const TensorView& values, const Run& run) {
  if (values.dtype() == DType::u8) {
    run(values.as<std::uint8_t>());
  } else {
    run(values.as<std::int32_t>());
  }
}

}  // namespace

void pack_bits(const PackBitsParams& params, Context&) {
  auto* packed = params.packed.as<std::uint8_t>();
  std::fill_n(packed, params.packed.numel(), std::uint8_t{0});
  with_integers(params.values, [&](const auto* values) {
    std::int64_t place = 0;
    for (std::int64_t i = 0; i < params.values.numel(); ++i)
      for (int bit = 0; bit < params.bits; ++bit, ++place)
        packed[place / 8] |= static_cast<std::uint8_t>((values[i] >> bit & 1) << place % 8);
  });
}

void unpack_bits(const UnpackBitsParams& params, Context&) {
  const auto* packed = params.packed.as<std::uint8_t>();
  with_integers(params.values, [&](auto* values) {
    std::int64_t place = 0;
    for (std::int64_t i = 0; i < params.values.numel(); ++i) {
      int value = 0;
      for (int bit = 0; bit < params.bits; ++bit, ++place)
        value |= (packed[place / 8] >> place % 8 & 1) << bit;
      values[i] = static_cast<std::remove_pointer_t<decltype(values)>>(value);
    }
  });
}

}  // namespace sparsevid::ops::ref
