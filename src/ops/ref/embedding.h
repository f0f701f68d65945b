// The truth of ops/embedding.h.
#pragma once

#include "ops/embedding.h"

namespace sparsevid::ops::ref {

void embedding(const EmbeddingParams& params, Context& context);

}  // namespace sparsevid::ops::ref
