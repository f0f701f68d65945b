// The cluster kernel for AVX2.
#include "ops/cpu/attention_simd_avx2.h"
#include "ops/cpu/cluster_kernel_simd.h"

namespace sparsevid::ops::cpu {

const ClusterKernel kClusterAvx2 = {
    .name = "avx2",
    .is_bf16 = false,
    .word_multiple = 1,
    .product = product<Avx2, FloatProduct<Avx2>, 1>,
    .pack_row = pack_row<false>,
    .nearest = nearest<Avx2>,
    .add_rows = add_rows<Avx2>,
    .add_softmax = add_softmax<Avx2, false>,
    .raise_top = raise_top<Avx2>,
    .weigh_bands = weigh_bands<Avx2>,
    .weigh_spread = weigh_spread,
    .statistics = statistics<Avx2>,
};

}  // namespace sparsevid::ops::cpu
