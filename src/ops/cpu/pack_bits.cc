#include "ops/cpu/pack_bits.h"

#include <algorithm>

#include "base/parallel.h"
#include "ops/packed_group.h"

namespace sparsevid::ops::cpu {
namespace {

constexpr std::int64_t kGrain = 4096;  // groups

/// run(values, packed, count) for each group of eight numbers.
template <typename Run>
void for_groups(const TensorView& values, const TensorView& packed, int bits, Context& context,
                const Run& run) {
  const std::int64_t count = values.numel();
  const auto with = [&](auto* first) {
    parallel_for(context.threads, (count + 7) / 8, kGrain,
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t group = begin; group < end; ++group)
                     run(first + 8 * group, packed.as<std::uint8_t>() + group * bits,
                         static_cast<int>(std::min<std::int64_t>(8, count - 8 * group)));
                 });
  };
  if (values.dtype() == DType::u8) {
    with(values.as<std::uint8_t>());
  } else {
    with(values.as<std::int32_t>());
  }
}

}  // namespace

void pack_bits(const PackBitsParams& params, Context& context) {
  for_groups(params.values, params.packed, params.bits, context,
             [&](const auto* values, std::uint8_t* packed, int count) {
               pack_group(values, count, params.bits, packed);
             });
}

void unpack_bits(const UnpackBitsParams& params, Context& context) {
  for_groups(params.values, params.packed, params.bits, context,
             [&](auto* values, const std::uint8_t* packed, int count) {
               unpack_group(packed, count, params.bits, values);
             });
}

}  // namespace sparsevid::ops::cpu
