#include "ops/embedding.h"

#include "ops/cpu/embedding.h"
#include "ops/dispatch/contract.h"
#include "ops/dispatch/cuda_entries.h"
#include "ops/ref/embedding.h"

namespace sparsevid::ops {

const ImplementationList<EmbeddingParams>& embedding_implementations() {
  static const auto list = implementations<EmbeddingParams>(
      "embedding", {{"simd", never_refuses<EmbeddingParams>, cpu::embedding},
                    {"ref", never_refuses<EmbeddingParams>, ref::embedding}});
  return list;
}

void embedding(const EmbeddingParams& params, Context& context) {
  const auto& [ids, table, out] = params;
  require_contract(ids.rank() == 1 && ids.dtype() == DType::i32 && table.rank() == 2 &&
                       (is_float(table) || table.dtype() == DType::f16) && table.contiguous() &&
                       is_matrix(out) && out.shape() == Shape{ids.size(0), table.size(1)},
                   "embedding", {ids, table, out});
  embedding_implementations().run(params, context);
}

}  // namespace sparsevid::ops
