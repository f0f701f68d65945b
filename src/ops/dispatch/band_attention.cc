#include "ops/band_attention.h"

#include "ops/cpu/band_attention.h"
#include "ops/dispatch/attention_contract.h"
#include "ops/dispatch/attention_entries.h"
#include "ops/dispatch/cuda_entries.h"
#include "ops/ref/band_attention.h"

namespace sparsevid::ops {
namespace {

bool fits(const BandAttentionParams& params) {
  if (!is_attention(params.q, params.k, params.v, params.out) ||
      params.k.shape() != params.q.shape())
    return false;
  const std::int64_t video = static_cast<std::int64_t>(params.frames) * params.positions;
  return params.frames > 0 && params.positions > 0 && params.video_begin >= 0 &&
         params.video_begin + video <= params.q.size(1) && params.temporal.defined() &&
         params.temporal.dtype() == DType::u8 &&
         params.temporal.shape() == Shape{params.q.size(0)} && params.width >= 0;
}

}  // namespace

const ImplementationList<BandAttentionParams>& band_attention_implementations() {
  static const auto list = implementations<BandAttentionParams>(
      "band_attention",
      attention_entries<BandAttentionParams, cpu::band_attention>(ref::band_attention));
  return list;
}

void band_attention(const BandAttentionParams& params, Context& context) {
  require_contract(fits(params), "band_attention",
                   {params.q, params.k, params.v, params.temporal, params.out});
  band_attention_implementations().run(params, context);
}

}  // namespace sparsevid::ops
