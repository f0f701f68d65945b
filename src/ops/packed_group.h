// Eight numbers of up to 16 bits each in as many bytes as one of them has bits.
#pragma once

#include <cstdint>

#ifdef __CUDACC__
#define SPARSEVID_HOST_DEVICE __host__ __device__
#else
#define SPARSEVID_HOST_DEVICE
#endif

namespace sparsevid::ops {

/// `count` of the eight exist; the others are zeros.
template <typename T>
SPARSEVID_HOST_DEVICE inline void pack_group(const T* values, int count, int bits,
                                             std::uint8_t* packed) {
  std::uint32_t held = 0;  // bits that are not written yet
  int places = 0;
  for (int i = 0; i < 8; ++i) {
    if (i < count) held |= static_cast<std::uint32_t>(values[i]) << places;
    places += bits;
    for (; places >= 8; places -= 8, held >>= 8) *packed++ = static_cast<std::uint8_t>(held);
  }
}

template <typename T>
SPARSEVID_HOST_DEVICE inline void unpack_group(const std::uint8_t* packed, int count, int bits,
                                               T* values) {
  std::uint32_t held = 0;  // bits that belong to no value yet
  int places = 0;
  for (int i = 0; i < count; ++i) {
    for (; places < bits; places += 8) held |= static_cast<std::uint32_t>(*packed++) << places;
    values[i] = static_cast<T>(held & ((1U << bits) - 1));
    held >>= bits;
    places -= bits;
  }
}

}  // namespace sparsevid::ops
#undef SPARSEVID_HOST_DEVICE
