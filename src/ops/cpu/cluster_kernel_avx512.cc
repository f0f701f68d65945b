// The cluster kernel for AVX-512.
#include "ops/cpu/attention_simd_avx512.h"
#include "ops/cpu/cluster_kernel_simd.h"

namespace sparsevid::ops::cpu {

const ClusterKernel kClusterAvx512 = {
    .name = "avx512",
    .is_bf16 = false,
    .word_multiple = 1,
    .product = product<Avx512, FloatProduct<Avx512>, 4>,
    .pack_row = pack_row<false>,
    .nearest = nearest<Avx512>,
    .add_rows = add_rows<Avx512>,
    .add_softmax = add_softmax<Avx512, false>,
    .raise_top = raise_top<Avx512>,
    .weigh_bands = weigh_bands<Avx512>,
    .weigh_spread = weigh_spread,
    .statistics = statistics<Avx512>,
};

}  // namespace sparsevid::ops::cpu
