#include "ops/cpu/embedding.h"

#include "base/error.h"
#include "ops/cpu/pieces.h"
#include "ops/cpu/row_kernels.h"

namespace sparsevid::ops::cpu {

void embedding(const EmbeddingParams& params, Context& context) {
  const TensorView& table = params.table;
  const TensorView& out = params.out;
  for_row_pieces(context, out.size(0), out.size(1), [&](std::int64_t begin, std::int64_t rows) {
    for (std::int64_t row = begin; row < begin + rows; ++row) {
      const std::int32_t id = params.ids.as<std::int32_t>()[row * params.ids.stride(0)];
      require(id >= 0 && id < table.size(0), ErrorKind::bad_input,
              "embedding: expected ids from 0 to {}, found {} at position {}", table.size(0) - 1,
              id, row);
      row_kernels().convert(address(table, id * table.size(1)), table.dtype(),
                            address(out, row * out.stride(0)), out.dtype(), out.size(1));
    }
  });
}

}  // namespace sparsevid::ops::cpu
