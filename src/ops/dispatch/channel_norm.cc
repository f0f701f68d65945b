#include "ops/channel_norm.h"

#include "ops/cpu/norms.h"
#include "ops/dispatch/contract.h"
#include "ops/dispatch/cuda_entries.h"
#include "ops/ref/channel_norm.h"

namespace sparsevid::ops {

namespace {

std::string row_refusal(const ChannelNormParams& params, const Context&) {
  return cpu::long_row_refusal(params.x.size(1));
}

}  // namespace

const ImplementationList<ChannelNormParams>& channel_norm_implementations() {
  static const auto list = implementations<ChannelNormParams>(
      "channel_norm", {{"simd", row_refusal, cpu::channel_norm},
                       {"ref", never_refuses<ChannelNormParams>, ref::channel_norm}});
  return list;
}

void channel_norm(const ChannelNormParams& params, Context& context) {
  const auto& [x, gamma, silu, out] = params;
  require_contract(is_matrix(x) && same_shape_and_dtype(x, out) && x.contiguous() &&
                       out.contiguous() && is_vector(gamma, x.size(1)),
                   "channel_norm", {x, gamma, out});
  channel_norm_implementations().run(params, context);
}

}  // namespace sparsevid::ops
