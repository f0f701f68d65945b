// The cluster kernel on AMX: its product, and AVX-512 for the rest. Compiled for it; run only where
// the CPU and the kernel allow it.
#include "ops/cpu/cluster_kernel_amx.h"

#include "ops/cpu/amx_tiles.h"
#include "ops/cpu/attention_micro_bf16.h"
#include "ops/cpu/cluster_kernel_simd.h"

namespace sparsevid::ops::cpu {

const ClusterKernel kClusterAmx = {
    .name = "amx",
    .is_bf16 = true,
    .word_multiple = 16,
    .product = amx_product<AmxTiles>,
    .pack_row = pack_row<true>,
    .nearest = nearest<Avx512>,
    .add_rows = add_rows<Avx512>,
    .add_softmax = add_softmax<Avx512, true>,
    .raise_top = raise_top<Avx512>,
    .weigh_bands = weigh_bands<Avx512>,
    .weigh_spread = weigh_spread,
    .statistics = statistics<Avx512>,
};

}  // namespace sparsevid::ops::cpu
