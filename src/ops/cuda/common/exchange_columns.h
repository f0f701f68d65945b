// From the sums of a matrix product as a warp holds them to runs that are stored at once.
#pragma once

#include <cstdint>

namespace sparsevid::ops::cuda {

/// Lane q of four neighbours holds values[j] of columns 8 j + 2 q; afterwards it holds columns 8 q
/// to 8 q + 7 in order.
__device__ inline void exchange_columns(std::uint32_t (&values)[4], int q) {
  std::uint32_t a = (q & 1) != 0 ? values[0] : values[1];
  std::uint32_t b = (q & 1) != 0 ? values[2] : values[3];
  a = __shfl_xor_sync(0xffffffffU, a, 1);
  b = __shfl_xor_sync(0xffffffffU, b, 1);
  if ((q & 1) != 0) {
    values[0] = a;
    values[2] = b;
  } else {
    values[1] = a;
    values[3] = b;
  }
  a = (q & 2) != 0 ? values[0] : values[2];
  b = (q & 2) != 0 ? values[1] : values[3];
  a = __shfl_xor_sync(0xffffffffU, a, 2);
  b = __shfl_xor_sync(0xffffffffU, b, 2);
  if ((q & 2) != 0) {
    values[0] = a;
    values[1] = b;
  } else {
    values[2] = a;
    values[3] = b;
  }
}

}  // namespace sparsevid::ops::cuda
