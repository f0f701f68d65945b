// Sums over the lanes of a warp, before a lane too, and over the warps of a block.
#pragma once

namespace sparsevid::ops::cuda {

/// Over groups of kLanes neighbouring lanes; every lane gets the sum.
template <int kLanes = 32>
__device__ inline float sum_lanes(float value) {
#pragma unroll
  for (int distance = kLanes / 2; distance > 0; distance /= 2)
    value += __shfl_xor_sync(0xffffffffU, value, distance);
  return value;
}

/// The sum of `value` over the lanes before this one, and over all in `total`.
__device__ inline int sum_of_lanes_before(int value, int& total) {
  const int lane = threadIdx.x % 32;
  int sum = value;
#pragma unroll
  for (int distance = 1; distance < 32; distance *= 2) {
    const int before = __shfl_up_sync(~0u, sum, distance);
    if (lane >= distance) sum += before;
  }
  total = __shfl_sync(~0u, sum, 31);
  return sum - value;
}

/// Over a block of up to 32 whole warps; every thread gets the sum. `partial` is shared memory for
/// 32 floats, which must not be used again before another barrier.
__device__ inline float sum_block(float value, float* partial) {
  value = sum_lanes(value);
  if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = value;
  __syncthreads();
  const unsigned warps = blockDim.x / 32;
  return sum_lanes(threadIdx.x % 32 < warps ? partial[threadIdx.x % 32] : 0.0F);
}

}  // namespace sparsevid::ops::cuda
