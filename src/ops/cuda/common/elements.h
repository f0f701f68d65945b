// Elements of tensors in device code: conversions to float and back, and accesses of up to 16
// bytes.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>
#include <type_traits>

#include "core/tensor.h"

namespace sparsevid::ops::cuda {

using device_bf16 = __nv_bfloat16;

__device__ inline float to_float(float value) { return value; }
__device__ inline float to_float(device_bf16 value) { return __bfloat162float(value); }
__device__ inline float to_float(__half value) { return __half2float(value); }

template <typename T>
__device__ inline T from_float(float value) {
  if constexpr (std::is_same_v<T, float>) {
    return value;
  } else {
    return __float2bfloat16_rn(value);
  }
}

/// `kCount` elements that one instruction can move, if they are aligned to their size.
template <typename T, int kCount>
struct alignas(sizeof(T) * kCount) Pack {
  static_assert(sizeof(T) * kCount <= 16 && (kCount & (kCount - 1)) == 0);
  T value[kCount];
};

template <int kBytes>
struct RawOf;
template <>
struct RawOf<16> {
  using type = uint4;
};
template <>
struct RawOf<8> {
  using type = uint2;
};
template <>
struct RawOf<4> {
  using type = unsigned;
};
template <>
struct RawOf<2> {
  using type = unsigned short;
};
template <>
struct RawOf<1> {
  using type = unsigned char;
};

/// For data that is read once: it does not push out what stays of use in the caches.
template <typename T, int kCount>
__device__ inline Pack<T, kCount> load_once(const T* from) {
  using Raw = typename RawOf<sizeof(T) * kCount>::type;
  const Raw raw = __ldcs(reinterpret_cast<const Raw*>(from));
  return *reinterpret_cast<const Pack<T, kCount>*>(&raw);
}

template <typename T, int kCount>
__device__ inline Pack<T, kCount> load_pack(const T* from) {
  using Raw = typename RawOf<sizeof(T) * kCount>::type;
  const Raw raw = *reinterpret_cast<const Raw*>(from);
  return *reinterpret_cast<const Pack<T, kCount>*>(&raw);
}

template <typename T, int kCount>
__device__ inline void store_pack(T* to, const Pack<T, kCount>& pack) {
  using Raw = typename RawOf<sizeof(T) * kCount>::type;
  *reinterpret_cast<Raw*>(to) = *reinterpret_cast<const Raw*>(&pack);
}

template <typename T, int kCount>
__device__ inline void unpack(const Pack<T, kCount>& pack, float (&values)[kCount]) {
#pragma unroll
  for (int i = 0; i < kCount; ++i) values[i] = to_float(pack.value[i]);
}

/// Rounds and stores kCount floats, in as few accesses as their size allows.
template <typename T, int kCount>
__device__ inline void store_floats(T* to, const float (&values)[kCount]) {
  constexpr int kPart = sizeof(T) * kCount <= 16 ? kCount : 16 / static_cast<int>(sizeof(T));
#pragma unroll
  for (int begin = 0; begin < kCount; begin += kPart) {
    Pack<T, kPart> pack;
    if constexpr (std::is_same_v<T, device_bf16> && kPart > 1) {
#pragma unroll
      for (int i = 0; i < kPart; i += 2)
        *reinterpret_cast<__nv_bfloat162*>(&pack.value[i]) =
            __floats2bfloat162_rn(values[begin + i], values[begin + i + 1]);
    } else {
#pragma unroll
      for (int i = 0; i < kPart; ++i) pack.value[i] = from_float<T>(values[begin + i]);
    }
    store_pack(to + begin, pack);
  }
}

/// kCount floats from memory that many threads read; aligned to 16 bytes, or to their size.
template <int kCount>
__device__ inline void load_floats(const float* from, float (&values)[kCount]) {
  constexpr int kPart = kCount < 4 ? kCount : 4;
#pragma unroll
  for (int begin = 0; begin < kCount; begin += kPart) {
    const Pack<float, kPart> pack = load_pack<float, kPart>(from + begin);
#pragma unroll
    for (int i = 0; i < kPart; ++i) values[begin + i] = pack.value[i];
  }
}

template <typename T>
T* device_pointer(const TensorView& view) {
  return static_cast<T*>(view.data());
}

inline bool aligned_to(const void* pointer, std::size_t bytes) {
  return reinterpret_cast<std::uintptr_t>(pointer) % bytes == 0;
}

/// Calls `run` with a float or a device_bf16 as the type of the elements.
template <typename Run>
void with_float_type(DType dtype, Run&& run) {
  if (dtype == DType::bf16) {
    run(device_bf16());
  } else {
    run(float());
  }
}

}  // namespace sparsevid::ops::cuda
