#include "ops/attention.h"

#include "ops/cpu/attention.h"
#include "ops/dispatch/attention_contract.h"
#include "ops/dispatch/attention_entries.h"
#include "ops/dispatch/cuda_entries.h"
#include "ops/ref/attention.h"

namespace sparsevid::ops {
namespace {

bool fits(const AttentionParams& params) {
  const auto& [q, k, v, out, scale, bias, key_bias] = params;
  if (!is_attention(q, k, v, out)) return false;
  if (bias.defined() &&
      (bias.dtype() != DType::f32 || bias.shape() != Shape{q.size(0), q.size(1), k.size(1)}))
    return false;
  return is_optional_vector(key_bias, k.size(1));
}

}  // namespace

const ImplementationList<AttentionParams>& attention_implementations() {
  static const auto list = implementations<AttentionParams>(
      "attention", attention_entries<AttentionParams, cpu::attention>(ref::attention));
  return list;
}

void attention(const AttentionParams& params, Context& context) {
  require_contract(fits(params), "attention",
                   {params.q, params.k, params.v, params.out, params.bias, params.key_bias});
  attention_implementations().run(params, context);
}

}  // namespace sparsevid::ops
