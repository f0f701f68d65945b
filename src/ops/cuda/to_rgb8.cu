// Pixels from -1 to 1 as bytes. Bound: memory, as elementwise_loop.h.
#include "ops/cuda/common/elements.h"
#include "ops/cuda/common/elementwise_loop.h"
#include "ops/cuda/elementwise.h"

namespace sparsevid::ops::cuda {
namespace {

template <typename T>
struct ToRgb8 {
  const T* x;
  std::uint8_t* out;

  template <int kWidth>
  using Inputs = Pack<T, kWidth>;
  template <int kWidth>
  __device__ void load(std::int64_t begin, Pack<T, kWidth>& inputs) const {
    inputs = load_once<T, kWidth>(x + begin);
  }
  template <int kWidth>
  __device__ void finish(std::int64_t begin, const Pack<T, kWidth>& inputs) const {
    Pack<std::uint8_t, kWidth> bytes;
#pragma unroll
    for (int i = 0; i < kWidth; ++i) {
      // Halving is exact, so this rounds where the reference does.
      const float unit = __saturatef(to_float(inputs.value[i]) * 0.5F + 0.5F);
      bytes.value[i] = static_cast<std::uint8_t>(floorf(255.0F * unit));
    }
    store_pack(out + begin, bytes);
  }
};

}  // namespace

void to_rgb8(const ToRgb8Params& params, Context& context) {
  const bool wide = aligned_to(params.x.data(), 16) && aligned_to(params.out.data(), 8);
  with_float_type(params.x.dtype(), [&](auto element) {
    using T = decltype(element);
    const ToRgb8<T> body = {device_pointer<const T>(params.x),
                            device_pointer<std::uint8_t>(params.out)};
    for_each_element<16 / sizeof(T)>(body, params.x.numel(), wide, "to_rgb8", context);
  });
}

}  // namespace sparsevid::ops::cuda
