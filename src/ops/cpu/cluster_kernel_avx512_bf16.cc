// The cluster kernel for AVX-512 BF16.
#include "ops/cpu/attention_micro_bf16.h"
#include "ops/cpu/cluster_kernel_simd.h"

namespace sparsevid::ops::cpu {

const ClusterKernel kClusterAvx512Bf16 = {
    .name = "avx512_bf16",
    .is_bf16 = true,
    .word_multiple = 1,
    .product = product<Avx512, Bf16Product, 4>,
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
