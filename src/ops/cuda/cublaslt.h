// Matrix products by cuBLASLt: what it was asked before is looked up, not planned again.
#pragma once

#include "core/context.h"
#include "core/tensor.h"

namespace sparsevid::ops::cuda {

/// What cuBLASLt applies to a product before it rounds.
enum class Epilogue { none, bias, gelu_tanh, gelu_tanh_bias, relu, relu_bias };

struct MatrixProduct {
  TensorView x;       ///< [rows, in] f32 or bf16; rows may be strided
  TensorView weight;  ///< [out, in], the dtype of x, contiguous
  TensorView bias;    ///< [out] f32, where the epilogue has one
  TensorView out;     ///< [rows, out]; rows may be strided
  Epilogue epilogue = Epilogue::none;
};

/// Runs out = epilogue(x weight^T) and returns true, or returns false: cuBLASLt has no kernel for
/// these types, extents and alignments. Sums in f32; products of f32 are exact in f32. Scratch is
/// the context's.
bool cublaslt_product(const MatrixProduct& product, Context& context);

}  // namespace sparsevid::ops::cuda
