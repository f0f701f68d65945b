// Powers of two by the special function units.
#pragma once

namespace sparsevid::ops::cuda {

/// 2^x with a relative error of about 2^-22; what would be subnormal is 0.
__device__ inline float exp2_approximate(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

}  // namespace sparsevid::ops::cuda
