// FlashAttention-3's forward kernel as a C function, for gpu_peers.py. It is built alone from a
// checkout of its repository (F) and of CUTLASS (C), in some minutes:
//
//   nvcc -gencode=arch=compute_90a,code=sm_90a -std=c++17 -O3 --use_fast_math -DNDEBUG
//     --expt-relaxed-constexpr --expt-extended-lambda -DCUTE_SM90_EXTENDED_MMA_SHAPES_ENABLED
//     -DCUTLASS_ENABLE_GDC_FOR_SM90 $(for o in BACKWARD SPLIT PAGEDKV APPENDKV LOCAL SOFTCAP
//     PACKGQA VARLEN FP16 FP8 HDIM96 HDIM192 HDIM256 SM8x; do echo -DFLASHATTENTION_DISABLE_$o;
//     done) -IF/hopper -IC/include -Xcompiler -fPIC -shared bench/gpu_peers_fa3.cu -o libfa3.so
//
// Tensors are [tokens, heads, head_dim] in bf16, as models hold them.
#include <cstdio>

#include "flash_fwd_launch_template.h"

namespace {

template <int kHeadDim>
void run(Flash_fwd_params& p) {
  p.d = p.dv = p.d_rounded = p.dv_rounded = kHeadDim;
  run_mha_fwd_<90, cutlass::bfloat16_t, kHeadDim, kHeadDim, false, false, false, false>(p, nullptr);
}

}  // namespace

/// `sums` takes the log-sum-exp of each row: [heads, tokens] in f32.
extern "C" int fa3_dense(void* q, void* k, void* v, void* out, float* sums, long heads, long tokens,
                         long head_dim, double scale) {
  Flash_fwd_params p{};
  p.is_bf16 = true;
  p.q_ptr = q;
  p.k_ptr = k;
  p.v_ptr = v;
  p.o_ptr = out;
  p.softmax_lse_ptr = sums;
  p.q_head_stride = p.k_head_stride = p.v_head_stride = p.o_head_stride = head_dim;
  p.q_row_stride = p.k_row_stride = p.v_row_stride = p.o_row_stride = heads * head_dim;
  p.q_batch_stride = p.k_batch_stride = p.v_batch_stride = p.o_batch_stride =
      tokens * heads * head_dim;
  p.v_dim_stride = 1;
  p.b = p.b_k = 1;
  p.h = p.h_k = static_cast<int>(heads);
  p.seqlen_q = p.seqlen_k = static_cast<int>(tokens);
  p.seqlen_q_rounded = p.seqlen_k_rounded = static_cast<int>((tokens + 127) / 128 * 128);
  p.scale_softmax = static_cast<float>(scale);
  p.window_size_left = p.window_size_right = -1;
  p.num_splits = 1;
  p.p_dropout = 1;
  int device = 0;
  cudaGetDevice(&device);
  cudaDeviceGetAttribute(&p.num_sm, cudaDevAttrMultiProcessorCount, device);
  p.arch = 90;
  if (head_dim == 64) {
    run<64>(p);
  } else if (head_dim == 128) {
    run<128>(p);
  } else {
    std::fprintf(stderr, "fa3_dense: head_dim %ld\n", head_dim);
    return 1;
  }
  const cudaError_t error = cudaGetLastError();
  if (error != cudaSuccess) std::fprintf(stderr, "fa3_dense: %s\n", cudaGetErrorString(error));
  return error == cudaSuccess ? 0 : 1;
}
