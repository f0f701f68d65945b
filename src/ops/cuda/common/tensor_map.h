// Descriptions of tensors for the copy engine.
#pragma once

#include <cuda.h>

#include <initializer_list>
#include <string>

#include "core/tensor.h"

namespace sparsevid::ops::cuda {

/// [heads, rows, columns] bf16 as boxes of 64 columns x `box_rows` rows x `box_halves` neighbouring
/// columns of 64: coordinates (column % 64, row, column / 64, head), swizzled by 128 bytes.
CUtensorMap head_rows_map(const TensorView& rows, int box_rows, int box_halves);

/// [rows, columns] of bf16, or of bytes (u8), as boxes of 128 bytes of columns x `box_rows` rows:
/// coordinates (column, row), swizzled by 128 bytes.
CUtensorMap matrix_map(const TensorView& matrix, int box_rows);

/// Any tensor of bf16, or of f32 that the copies round to tf32, with contiguous last axis, as boxes
/// of up to 128 bytes of it and so many of the axes before, swizzled by 128 bytes. `box` and
/// coordinates begin with the last axis.
CUtensorMap box_map(const TensorView& tensor, std::initializer_list<int> box);

/// Why head_rows_map or 16-byte accesses cannot take it; empty when they can.
std::string head_rows_refusal(const TensorView& rows);

}  // namespace sparsevid::ops::cuda
