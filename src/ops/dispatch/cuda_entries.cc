// Every CUDA implementation by name, in order of preference; the one place that knows them.
#include "ops/dispatch/cuda_entries.h"

#include "ops/activate.h"
#include "ops/attention.h"
#include "ops/attention_8bit.h"
#include "ops/band_attention.h"
#include "ops/band_profile.h"
#include "ops/block_sparse_attention.h"
#include "ops/block_sparse_attention_8bit.h"
#include "ops/channel_norm.h"
#include "ops/choose_clusters.h"
#include "ops/cluster_errors.h"
#include "ops/cluster_order.h"
#include "ops/cluster_scores.h"
#include "ops/cluster_statistics.h"
#include "ops/conv3d.h"
#include "ops/copy.h"
#include "ops/embedding.h"
#include "ops/gated_residual.h"
#include "ops/guidance.h"
#include "ops/kmeans.h"
#include "ops/layer_norm.h"
#include "ops/layer_norm_modulate.h"
#include "ops/linear.h"
#include "ops/linear_combination.h"
#include "ops/linear_fp8.h"
#include "ops/pack_bits.h"
#include "ops/pair_density.h"
#include "ops/patchify.h"
#include "ops/quantize_rows.h"
#include "ops/relative_position_bias.h"
#include "ops/rms_norm.h"
#include "ops/rms_norm_rope.h"
#include "ops/round_clusters.h"
#include "ops/to_rgb8.h"
#include "ops/unpatchify.h"
#include "ops/upsample_nearest.h"

#ifdef SPARSEVID_CUDA
#include "ops/cuda/attention_mma/attention_mma.h"
#include "ops/cuda/attention_products/attention_products.h"
#include "ops/cuda/band_profile.h"
#include "ops/cuda/choose_clusters.h"
#include "ops/cuda/cluster_errors.h"
#include "ops/cuda/cluster_order.h"
#include "ops/cuda/cluster_scores.h"
#include "ops/cuda/cluster_statistics.h"
#include "ops/cuda/conv3d.h"
#include "ops/cuda/copy.h"
#include "ops/cuda/elementwise.h"
#include "ops/cuda/embedding.h"
#include "ops/cuda/kmeans/kmeans.h"
#include "ops/cuda/linear.h"
#include "ops/cuda/norms.h"
#include "ops/cuda/pack_bits.h"
#include "ops/cuda/pair_density.h"
#include "ops/cuda/patches.h"
#include "ops/cuda/quantize_rows.h"
#include "ops/cuda/relative_position_bias.h"
#include "ops/cuda/round_clusters.h"
#include "ops/cuda/upsample_nearest.h"
#define SPARSEVID_ON_CUDA(...) \
  { __VA_ARGS__ }
#else
#define SPARSEVID_ON_CUDA(...) \
  {}
#endif

#ifdef SPARSEVID_HOPPER
#include "ops/cuda/attention_hopper/attention_hopper.h"
#include "ops/cuda/attention_hopper/band_attention_hopper.h"
#include "ops/cuda/attention_hopper/block_sparse_attention_hopper.h"
#include "ops/cuda/attention_hopper_8bit/attention_hopper_8bit.h"
#include "ops/cuda/attention_hopper_8bit/block_sparse_attention_8bit.h"
#include "ops/cuda/cluster_scores_hopper/cluster_scores_hopper.h"
#include "ops/cuda/conv3d_hopper/conv3d.h"
#include "ops/cuda/few_keys_hopper/few_keys.h"
#include "ops/cuda/kmeans_hopper/kmeans_hopper.h"
#include "ops/cuda/linear_hopper/linear.h"
#include "ops/cuda/linear_hopper/linear_fp8.h"
#define SPARSEVID_ON_HOPPER(...) __VA_ARGS__
#else
#define SPARSEVID_ON_HOPPER(...)
#endif

namespace sparsevid::ops {
namespace {

template <typename Params>
using Run = void (*)(const Params&, Context&);

template <auto kRefusal, typename Params>
std::string refusal(const Params& params, const Context& context) {
  if (context.device != Device::cuda && !host_tensors_go_to_cuda())
    return "the tensors are on the CPU";
  if (context.device != Device::cuda && !cuda_unavailable().empty()) return cuda_unavailable();
  if constexpr (requires { params.takes_means; }) {
    if (params.takes_means) return "it takes no means";
  }
  return kRefusal(params, context);
}

template <auto kRun, typename Params>
void run(const Params& params, Context& context) {
  if (context.device == Device::cuda) {
    kRun(params, context);
  } else {
    run_staged<Params>(kRun, params);
  }
}

template <typename Params>
struct Of;  // the parameters of an implementation
template <typename Params>
struct Of<Run<Params>> {
  using type = Params;
};

/// One implementation; without a refusal of its own it takes whatever the op's contract allows.
template <auto kRun, auto kRefusal = never_refuses<typename Of<decltype(kRun)>::type>>
Implementation<typename Of<decltype(kRun)>::type> entry(std::string_view name) {
  using Params = typename Of<decltype(kRun)>::type;
  return {name, refusal<kRefusal, Params>, run<kRun, Params>, Device::cuda};
}

}  // namespace

template <>
Entries<ActivateParams> cuda_entries() {
  return SPARSEVID_ON_CUDA(entry<cuda::activate>("cuda"));
}

template <>
Entries<AttentionParams> cuda_entries() {
  return SPARSEVID_ON_CUDA(
      SPARSEVID_ON_HOPPER(
          entry<cuda::few_keys_hopper, cuda::few_keys_hopper_refusal>("cuda_hopper_few_keys"),
          entry<cuda::attention_hopper, cuda::attention_hopper_refusal>("cuda_hopper"), )
          entry<cuda::attention_mma, cuda::attention_mma_refusal>("cuda_mma"),
      entry<cuda::attention_products, cuda::attention_products_refusal>("cuda_products"));
}

template <>
Entries<Attention8bitParams> cuda_entries() {
  return SPARSEVID_ON_CUDA(SPARSEVID_ON_HOPPER(
      entry<cuda::attention_8bit_hopper, cuda::attention_8bit_hopper_refusal>("cuda_hopper"), ));
}

template <>
Entries<BandAttentionParams> cuda_entries() {
  return SPARSEVID_ON_CUDA(
      SPARSEVID_ON_HOPPER(
          entry<cuda::band_attention_hopper, cuda::band_attention_hopper_refusal>("cuda_hopper"), )
          entry<cuda::band_attention_mma, cuda::band_attention_mma_refusal>("cuda_mma"),
      entry<cuda::band_attention_products, cuda::band_attention_products_refusal>("cuda_products"));
}

template <>
Entries<BandProfileParams> cuda_entries() {
  return SPARSEVID_ON_CUDA(entry<cuda::band_profile, cuda::band_profile_refusal>("cuda"));
}

template <>
Entries<BlockSparseAttentionParams> cuda_entries() {
  return SPARSEVID_ON_CUDA(
      SPARSEVID_ON_HOPPER(
          entry<cuda::block_sparse_attention_hopper, cuda::block_sparse_attention_hopper_refusal>(
              "cuda_hopper"), )
          entry<cuda::block_sparse_attention_mma, cuda::block_sparse_attention_mma_refusal>(
              "cuda_mma"),
      entry<cuda::block_sparse_attention_products, cuda::block_sparse_attention_products_refusal>(
          "cuda_products"));
}

template <>
Entries<BlockSparseAttention8bitParams> cuda_entries() {
  return SPARSEVID_ON_CUDA(SPARSEVID_ON_HOPPER(
      entry<cuda::block_sparse_attention_8bit_hopper,
            cuda::block_sparse_attention_8bit_hopper_refusal>("cuda_hopper"), ));
}

template <>
Entries<ChannelNormParams> cuda_entries() {
  return SPARSEVID_ON_CUDA(entry<cuda::channel_norm>("cuda"));
}

template <>
Entries<ChooseClustersParams> cuda_entries() {
  return SPARSEVID_ON_CUDA(entry<cuda::choose_clusters, cuda::choose_clusters_refusal>("cuda"));
}

template <>
Entries<ClusterErrorsParams> cuda_entries() {
  return SPARSEVID_ON_CUDA(entry<cuda::cluster_errors>("cuda"));
}

template <>
Entries<ClusterOrderParams> cuda_entries() {
  return SPARSEVID_ON_CUDA(
      entry<static_cast<Run<ClusterOrderParams>>(cuda::cluster_order), cuda::cluster_order_refusal>(
          "cuda"));
}

template <>
Entries<ClusterScoresParams> cuda_entries() {
  return SPARSEVID_ON_CUDA(SPARSEVID_ON_HOPPER(
      entry<cuda::cluster_scores_hopper, cuda::cluster_scores_hopper_refusal>("cuda_hopper"), )
                               entry<cuda::cluster_scores, cuda::cluster_scores_refusal>("cuda"));
}

template <>
Entries<ClusterStatisticsParams> cuda_entries() {
  return SPARSEVID_ON_CUDA(
      entry<static_cast<Run<ClusterStatisticsParams>>(cuda::cluster_statistics)>("cuda"));
}

template <>
Entries<Conv3dParams> cuda_entries() {
  return SPARSEVID_ON_CUDA(SPARSEVID_ON_HOPPER(
      entry<cuda::conv3d_hopper, cuda::conv3d_hopper_refusal>("cuda_hopper"),
      entry<cuda::conv3d_hopper_bf16x3, cuda::conv3d_hopper_bf16x3_refusal>("cuda_hopper_bf16x3"),
      entry<cuda::conv3d_hopper_tf32, cuda::conv3d_hopper_tf32_refusal>("cuda_hopper_tf32"), )
                               entry<cuda::conv3d, cuda::conv3d_refusal>("cuda"));
}

template <>
Entries<CopyParams> cuda_entries() {
  return SPARSEVID_ON_CUDA(entry<cuda::copy>("cuda"));
}

template <>
Entries<EmbeddingParams> cuda_entries() {
  return SPARSEVID_ON_CUDA(entry<cuda::embedding>("cuda"));
}

template <>
Entries<GatedResidualParams> cuda_entries() {
  return SPARSEVID_ON_CUDA(entry<cuda::gated_residual>("cuda"));
}

template <>
Entries<GuidanceParams> cuda_entries() {
  return SPARSEVID_ON_CUDA(entry<cuda::guidance>("cuda"));
}

template <>
Entries<KMeansParams> cuda_entries() {
  return SPARSEVID_ON_CUDA(
      SPARSEVID_ON_HOPPER(entry<cuda::kmeans_hopper, cuda::kmeans_hopper_refusal>("cuda_hopper"), )
          entry<cuda::kmeans>("cuda"));
}

template <>
Entries<LayerNormParams> cuda_entries() {
  return SPARSEVID_ON_CUDA(entry<cuda::layer_norm>("cuda"));
}

template <>
Entries<LayerNormModulateParams> cuda_entries() {
  return SPARSEVID_ON_CUDA(entry<cuda::layer_norm_modulate>("cuda"));
}

template <>
Entries<LinearParams> cuda_entries() {
  return SPARSEVID_ON_CUDA(
      SPARSEVID_ON_HOPPER(entry<cuda::linear_hopper, cuda::linear_hopper_refusal>("cuda_hopper"), )
          entry<cuda::linear>("cublaslt"));
}

template <>
Entries<LinearCombinationParams> cuda_entries() {
  return SPARSEVID_ON_CUDA(entry<cuda::linear_combination>("cuda"));
}

template <>
Entries<LinearFp8Params> cuda_entries() {
  return SPARSEVID_ON_CUDA(SPARSEVID_ON_HOPPER(
      entry<cuda::linear_fp8_hopper, cuda::linear_fp8_hopper_refusal>("cuda_hopper"), ));
}

template <>
Entries<PackBitsParams> cuda_entries() {
  return SPARSEVID_ON_CUDA(entry<cuda::pack_bits>("cuda"));
}

template <>
Entries<UnpackBitsParams> cuda_entries() {
  return SPARSEVID_ON_CUDA(entry<cuda::unpack_bits>("cuda"));
}

template <>
Entries<PairDensityParams> cuda_entries() {
  return SPARSEVID_ON_CUDA(entry<cuda::pair_density>("cuda"));
}

template <>
Entries<PatchifyParams> cuda_entries() {
  return SPARSEVID_ON_CUDA(entry<cuda::patchify>("cuda"));
}

template <>
Entries<QuantizeRowsParams> cuda_entries() {
  return SPARSEVID_ON_CUDA(entry<cuda::quantize_rows>("cuda"));
}

template <>
Entries<RelativePositionBiasParams> cuda_entries() {
  return SPARSEVID_ON_CUDA(entry<cuda::relative_position_bias>("cuda"));
}

template <>
Entries<RmsNormParams> cuda_entries() {
  return SPARSEVID_ON_CUDA(entry<cuda::rms_norm>("cuda"));
}

template <>
Entries<RmsNormRopeParams> cuda_entries() {
  return SPARSEVID_ON_CUDA(entry<cuda::rms_norm_rope>("cuda"));
}

template <>
Entries<RoundClustersParams> cuda_entries() {
  return SPARSEVID_ON_CUDA(entry<cuda::round_clusters, cuda::round_clusters_refusal>("cuda"));
}

template <>
Entries<ToRgb8Params> cuda_entries() {
  return SPARSEVID_ON_CUDA(entry<cuda::to_rgb8>("cuda"));
}

template <>
Entries<UnpatchifyParams> cuda_entries() {
  return SPARSEVID_ON_CUDA(entry<cuda::unpatchify>("cuda"));
}

template <>
Entries<UpsampleNearestParams> cuda_entries() {
  return SPARSEVID_ON_CUDA(entry<cuda::upsample_nearest>("cuda"));
}

}  // namespace sparsevid::ops
