// Rows of a table by their numbers, on the GPU.
#pragma once

#include "ops/embedding.h"

namespace sparsevid::ops::cuda {

/// The host does not see the ids: a row whose id is outside the vocabulary becomes NaN instead of
/// an error, so that it cannot pass for a result.
void embedding(const EmbeddingParams& params, Context& context);

}  // namespace sparsevid::ops::cuda
