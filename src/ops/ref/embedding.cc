#include "ops/ref/embedding.h"

#include "base/error.h"
#include "ops/ref/element.h"

namespace sparsevid::ops::ref {

void embedding(const EmbeddingParams& params, Context&) {
  const auto& [ids, table, out] = params;
  for (std::int64_t row = 0; row < ids.size(0); ++row) {
    const std::int32_t id = ids.as<std::int32_t>()[row * ids.stride(0)];
    require(id >= 0 && id < table.size(0), ErrorKind::bad_input,
            "embedding: expected ids from 0 to {}, found {} at position {}", table.size(0) - 1, id,
            row);
    for (std::int64_t i = 0; i < out.size(1); ++i) store(out, row, i, load(table, id, i));
  }
}

}  // namespace sparsevid::ops::ref
