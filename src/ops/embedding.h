// Rows of a table by index.
#pragma once

#include "core/context.h"
#include "core/tensor.h"
#include "ops/implementation_list.h"

namespace sparsevid::ops {

struct EmbeddingParams {
  TensorView ids;    ///< [rows] i32
  TensorView table;  ///< [vocabulary, dim] f32, f16 or bf16
  TensorView out;    ///< [rows, dim] f32 or bf16
};
/// An id outside the vocabulary is Error(bad_input) on the CPU. A GPU fills its row with NaN: ids
/// that come from outside are checked before they go there.
void embedding(const EmbeddingParams& params, Context& context);
const ImplementationList<EmbeddingParams>& embedding_implementations();

}  // namespace sparsevid::ops
