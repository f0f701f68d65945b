// Every CUDA implementation by name, in order of preference; the one place that knows them.
#include "ops/dispatch/cuda_entries.h"

#include "ops/activate.h"
#include "ops/attention.h"
#include "ops/band_attention.h"
#include "ops/band_profile.h"
#include "ops/block_sparse_attention.h"
#include "ops/channel_norm.h"
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
#include "ops/patchify.h"
#include "ops/relative_position_bias.h"
#include "ops/rms_norm.h"
#include "ops/rms_norm_rope.h"
#include "ops/to_rgb8.h"
#include "ops/unpatchify.h"
#include "ops/upsample_nearest.h"

#ifdef SPARSEVID_CUDA
#include "ops/cuda/relative_position_bias.h"
#define SPARSEVID_ON_CUDA(...) \
  { __VA_ARGS__ }
#else
#define SPARSEVID_ON_CUDA(...) \
  {}
#endif

namespace sparsevid::ops {
namespace {

template <auto kRefusal, typename Params>
std::string refusal(const Params& params, const Context& context) {
  if (context.device != Device::cuda && !host_tensors_go_to_cuda())
    return "the tensors are on the CPU";
  if (context.device != Device::cuda && !cuda_unavailable().empty()) return cuda_unavailable();
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
struct Of<void (*)(const Params&, Context&)> {
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
  return SPARSEVID_ON_CUDA();
}

template <>
Entries<AttentionParams> cuda_entries() {
  return SPARSEVID_ON_CUDA();
}

template <>
Entries<BandAttentionParams> cuda_entries() {
  return SPARSEVID_ON_CUDA();
}

template <>
Entries<BandProfileParams> cuda_entries() {
  return SPARSEVID_ON_CUDA();
}

template <>
Entries<BlockSparseAttentionParams> cuda_entries() {
  return SPARSEVID_ON_CUDA();
}

template <>
Entries<ChannelNormParams> cuda_entries() {
  return SPARSEVID_ON_CUDA();
}

template <>
Entries<ClusterErrorsParams> cuda_entries() {
  return SPARSEVID_ON_CUDA();
}

template <>
Entries<ClusterOrderParams> cuda_entries() {
  return SPARSEVID_ON_CUDA();
}

template <>
Entries<ClusterScoresParams> cuda_entries() {
  return SPARSEVID_ON_CUDA();
}

template <>
Entries<ClusterStatisticsParams> cuda_entries() {
  return SPARSEVID_ON_CUDA();
}

template <>
Entries<Conv3dParams> cuda_entries() {
  return SPARSEVID_ON_CUDA();
}

template <>
Entries<CopyParams> cuda_entries() {
  return SPARSEVID_ON_CUDA();
}

template <>
Entries<EmbeddingParams> cuda_entries() {
  return SPARSEVID_ON_CUDA();
}

template <>
Entries<GatedResidualParams> cuda_entries() {
  return SPARSEVID_ON_CUDA();
}

template <>
Entries<GuidanceParams> cuda_entries() {
  return SPARSEVID_ON_CUDA();
}

template <>
Entries<KMeansParams> cuda_entries() {
  return SPARSEVID_ON_CUDA();
}

template <>
Entries<LayerNormParams> cuda_entries() {
  return SPARSEVID_ON_CUDA();
}

template <>
Entries<LayerNormModulateParams> cuda_entries() {
  return SPARSEVID_ON_CUDA();
}

template <>
Entries<LinearParams> cuda_entries() {
  return SPARSEVID_ON_CUDA();
}

template <>
Entries<LinearCombinationParams> cuda_entries() {
  return SPARSEVID_ON_CUDA();
}

template <>
Entries<PatchifyParams> cuda_entries() {
  return SPARSEVID_ON_CUDA();
}

template <>
Entries<RelativePositionBiasParams> cuda_entries() {
  return SPARSEVID_ON_CUDA(entry<cuda::relative_position_bias>("cuda"));
}

template <>
Entries<RmsNormParams> cuda_entries() {
  return SPARSEVID_ON_CUDA();
}

template <>
Entries<RmsNormRopeParams> cuda_entries() {
  return SPARSEVID_ON_CUDA();
}

template <>
Entries<ToRgb8Params> cuda_entries() {
  return SPARSEVID_ON_CUDA();
}

template <>
Entries<UnpatchifyParams> cuda_entries() {
  return SPARSEVID_ON_CUDA();
}

template <>
Entries<UpsampleNearestParams> cuda_entries() {
  return SPARSEVID_ON_CUDA();
}

}  // namespace sparsevid::ops
