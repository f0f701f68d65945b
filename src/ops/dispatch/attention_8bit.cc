#include "ops/attention_8bit.h"

#include "ops/dispatch/attention_contract.h"
#include "ops/dispatch/cuda_entries.h"
#include "ops/ref/attention_8bit.h"

namespace sparsevid::ops {

const ImplementationList<Attention8bitParams>& attention_8bit_implementations() {
  static const auto list = implementations<Attention8bitParams>(
      "attention_8bit", {{"ref", never_refuses<Attention8bitParams>, ref::attention_8bit}});
  return list;
}

void attention_8bit(const Attention8bitParams& params, Context& context) {
  const auto& [q, k, v, out, scale] = params;
  require_contract(is_attention(q, k, v, out) && k.size(1) > 0, "attention_8bit", {q, k, v, out});
  attention_8bit_implementations().run(params, context);
}

}  // namespace sparsevid::ops
