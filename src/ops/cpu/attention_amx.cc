// The attention tile on AMX. Compiled for it; run only where the CPU and the kernel allow it.
#include "ops/cpu/attention_amx.h"

#include "ops/cpu/amx_tiles.h"

namespace sparsevid::ops::cpu {
const AttentionKernel kAttentionAmx = amx_kernel<AmxTiles>("amx");

}  // namespace sparsevid::ops::cpu
