// The AMX kernel with its tile instructions spelled out in C++: every index of the kernel is
// tested on CPUs that have AVX-512 BF16 but no AMX.
#include "ops/cpu/amx_tiles_emulated.h"
#include "ops/cpu/attention_amx.h"

namespace sparsevid::ops::cpu {
extern const AttentionKernel kAttentionAmxEmulated;
const AttentionKernel kAttentionAmxEmulated = amx_kernel<EmulatedTiles>("amx");

}  // namespace sparsevid::ops::cpu
