// The attention tile on AMX. Compiled for it; run only where the CPU and the kernel allow it.
#include "ops/cpu/attention_amx.h"

#include "ops/cpu/amx_tiles.h"
#include "ops/cpu/attention_tile_run.h"

namespace sparsevid::ops::cpu {
const AttentionKernel kAttentionAmx = kernel_of<AmxMicro<AmxTiles>>("amx", 256);

}  // namespace sparsevid::ops::cpu
