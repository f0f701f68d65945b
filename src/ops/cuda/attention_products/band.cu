// Band attention as products, with what a query does not see masked.
#include "ops/band_mask.h"
#include "ops/cuda/attention_products/attention_products.h"
#include "ops/cuda/attention_products/product_attention.h"

namespace sparsevid::ops::cuda {
namespace {

struct MaskedByBand {
  BandMask mask;  ///< but for its order
  const std::uint8_t* temporal;
  std::int64_t temporal_stride;

  __device__ float operator()(int head, int query, int key, float logit) const {
    BandMask of_head = mask;
    of_head.temporal = temporal[head * temporal_stride] != 0;
    return of_head.sees(query, key) ? logit : -INFINITY;
  }
};

}  // namespace

std::string band_attention_products_refusal(const BandAttentionParams& params, const Context&) {
  return unless_on_gpu(params.q);
}

void band_attention_products(const BandAttentionParams& params, Context& context) {
  const MaskedByBand masked{
      {params.video_begin, params.frames, params.positions, params.width, false},
      device_pointer<const std::uint8_t>(params.temporal),
      params.temporal.stride(0)};
  product_attention({params.q, params.k, params.v, {}, {}, params.out, params.scale}, masked,
                    context);
}

}  // namespace sparsevid::ops::cuda
