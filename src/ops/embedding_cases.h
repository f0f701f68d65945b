// The cases that test and time ops/embedding.h.
#pragma once

#include <string_view>
#include <vector>

#include "ops/agreement.h"
#include "ops/embedding.h"

namespace sparsevid::ops {

struct EmbeddingCase {
  std::string_view name;
  std::int64_t rows, vocabulary, dim;
  DType dtype;
  DType out_dtype;
  std::int64_t gap = 0;
};

inline std::vector<EmbeddingCase> embedding_cases() {
  return {
      {"F32", 37, 100, 64, DType::f32, DType::f32},
      {"F32ToBf16", 37, 100, 33, DType::f32, DType::bf16, 3},
      {"Bf16", 37, 100, 33, DType::bf16, DType::bf16},
      {"Bf16ToF32", 512, 10, 64, DType::bf16, DType::f32},
      {"F16ToF32", 1, 1, 5, DType::f16, DType::f32},
  };
}

struct EmbeddingInputs {
  Tensor ids, table;
  GappedRows out;
  EmbeddingParams params;

  explicit EmbeddingInputs(const EmbeddingCase& c)
      : ids(random_integers({c.rows}, 1, 0, static_cast<int>(c.vocabulary) - 1)),
        table(c.dtype == DType::f16 ? Tensor(DType::f16, {c.vocabulary, c.dim})
                                    : random_tensor({c.vocabulary, c.dim}, 2, c.dtype)),
        out(c.rows, c.dim, c.gap, c.out_dtype, 3),
        params{ids, table, out.view} {
    if (c.dtype == DType::f16)
      for (std::int64_t i = 0; i < table->numel(); ++i)
        table->as<f16>()[i].bits = static_cast<std::uint16_t>(0x3c00 + i);
  }
};

}  // namespace sparsevid::ops
