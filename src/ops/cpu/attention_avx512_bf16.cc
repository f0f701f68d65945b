// The attention tile with AVX-512 BF16. Compiled for it; run only where the CPU has it.
#include "ops/cpu/attention_micro_bf16.h"
#include "ops/cpu/attention_tile_run.h"

namespace sparsevid::ops::cpu {

const AttentionKernel kAttentionAvx512Bf16 = kernel_of<Bf16Micro>("avx512_bf16", 256);

}  // namespace sparsevid::ops::cpu
