// Rows of a table, converted where the types differ.
#pragma once

#include "ops/embedding.h"

namespace sparsevid::ops::cpu {

void embedding(const EmbeddingParams& params, Context& context);

}  // namespace sparsevid::ops::cpu
