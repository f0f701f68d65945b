// The attention tile with AVX2 and FMA. Compiled for them; run only where the CPU has them.
#include "ops/cpu/attention_simd_avx2.h"
#include "ops/cpu/attention_tile_run.h"

namespace sparsevid::ops::cpu {
namespace {

struct F32Product {
  static constexpr bool kBf16 = false;
  static __m256 add(__m256 sum, __m256 a, __m256 b) { return _mm256_fmadd_ps(a, b, sum); }
};
using Micro = VectorMicro<Avx2, F32Product>;

}  // namespace

const AttentionKernel kAttentionAvx2 = kernel_of<Micro>("avx2", 256);

}  // namespace sparsevid::ops::cpu
