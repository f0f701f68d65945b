#include "ops/relative_position_bias.h"

#include "ops/dispatch/contract.h"
#include "ops/dispatch/cuda_entries.h"
#include "ops/ref/relative_position_bias.h"

namespace sparsevid::ops {
namespace {

bool fits(const RelativePositionBiasParams& params) {
  const auto& [table, buckets, bias] = params;
  return table.rank() == 2 && table.dtype() == DType::f32 && table.contiguous() &&
         buckets.rank() == 1 && buckets.dtype() == DType::i32 && buckets.contiguous() &&
         bias.rank() == 3 && bias.dtype() == DType::f32 && bias.contiguous() &&
         bias.size(0) == table.size(1) && buckets.size(0) == bias.size(1) + bias.size(2) - 1;
}

}  // namespace

const ImplementationList<RelativePositionBiasParams>& relative_position_bias_implementations() {
  // A prompt is encoded once, and its tokens are few.
  static const auto list = implementations<RelativePositionBiasParams>(
      "relative_position_bias",
      {{"ref", never_refuses<RelativePositionBiasParams>, ref::relative_position_bias}});
  return list;
}

void relative_position_bias(const RelativePositionBiasParams& params, Context& context) {
  require_contract(fits(params), "relative_position_bias",
                   {params.table, params.buckets, params.bias});
  relative_position_bias_implementations().run(params, context);
}

}  // namespace sparsevid::ops
