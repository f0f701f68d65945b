// The attention tile with AVX-512 in f32. Compiled for it; run only where the CPU has it.
#include "ops/cpu/attention_simd_avx512.h"
#include "ops/cpu/attention_tile_run.h"

namespace sparsevid::ops::cpu {
namespace {

struct F32Product {
  static constexpr bool kBf16 = false;
  static __m512 add(__m512 sum, __m512 a, __m512 b) { return _mm512_fmadd_ps(a, b, sum); }
};
using Micro = VectorMicro<Avx512, F32Product>;

}  // namespace

const AttentionKernel kAttentionAvx512 = kernel_of<Micro>("avx512", 256);

}  // namespace sparsevid::ops::cpu
