// Small numbers packed and unpacked, one thread eight of them: 3 million labels and 12 million
// choices for each side of 40 heads, some 10 us by their bytes.
#include "ops/cuda/pack_bits.h"

#include "ops/cuda/common/launch.h"
#include "ops/packed_group.h"

namespace sparsevid::ops::cuda {
namespace {

constexpr int kThreads = 256;

template <typename T, bool kPack>
__global__ void __launch_bounds__(kThreads)
    packed_groups(T* values, std::int64_t count, int bits, std::uint8_t* packed) {
  const std::int64_t group = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (8 * group >= count) return;
  const int own = static_cast<int>(min(count - 8 * group, static_cast<std::int64_t>(8)));
  if constexpr (kPack) {
    pack_group(values + 8 * group, own, bits, packed + group * bits);
  } else {
    unpack_group(packed + group * bits, own, bits, values + 8 * group);
  }
}

template <bool kPack>
void run(const TensorView& values, int bits, const TensorView& packed, std::string_view op,
         const Context& context) {
  const std::int64_t count = values.numel();
  if (count == 0) return;
  const auto blocks = static_cast<unsigned>(ceil_div(count, std::int64_t{8 * kThreads}));
  const auto launch = [&](auto* first) {
    packed_groups<std::remove_pointer_t<decltype(first)>, kPack>
        <<<blocks, kThreads, 0, stream_of(context)>>>(first, count, bits,
                                                      packed.as<std::uint8_t>());
  };
  if (values.dtype() == DType::u8) {
    launch(values.as<std::uint8_t>());
  } else {
    launch(values.as<std::int32_t>());
  }
  check_launch(op);
}

}  // namespace

void pack_bits(const PackBitsParams& params, Context& context) {
  run<true>(params.values, params.bits, params.packed, "pack_bits", context);
}

void unpack_bits(const UnpackBitsParams& params, Context& context) {
  run<false>(params.values, params.bits, params.packed, "unpack_bits", context);
}

}  // namespace sparsevid::ops::cuda
