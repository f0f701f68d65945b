#include "ops/cuda/linear.h"

#include <algorithm>

#include "ops/cuda/cublaslt.h"
#include "ops/cuda/linear_finish.h"

namespace sparsevid::ops::cuda {
namespace {

// Sums that wait for our own pass; small enough to be no concern, large enough to fill a GPU.
constexpr std::int64_t kSumBytes = std::int64_t{128} << 20;

bool fused(const LinearParams& p, Context& context) {
  const bool bias = p.bias.defined();
  Epilogue epilogue = bias ? Epilogue::bias : Epilogue::none;
  switch (p.activation) {
    case Activation::none:
      break;
    case Activation::relu:
      epilogue = bias ? Epilogue::relu_bias : Epilogue::relu;
      break;
    default:
      // cuBLASLt's GELU is the tanh form, but not to f32's precision; the others it has not.
      return false;
  }
  return cublaslt_product({p.x, p.weight, p.bias, p.out, epilogue}, context);
}

void in_two_passes(const LinearParams& p, Context& context) {
  const bool in_place = p.out.dtype() == DType::f32;
  const std::int64_t rows = p.out.size(0);
  const std::int64_t columns = p.out.size(1);
  const std::int64_t chunk =
      in_place ? rows : std::max<std::int64_t>(kSumBytes / (4 * columns) / 128 * 128, 128);
  for (std::int64_t row = 0; row < rows; row += chunk) {
    const std::int64_t count = std::min(chunk, rows - row);
    const Arena::Scope scope(context.arena);
    const TensorView out = p.out.slice(0, row, count);
    const TensorView x = p.x.slice(0, row, count);
    const TensorView sums = in_place ? out : context.arena.tensor(DType::f32, out.shape());
    if (cublaslt_product({x, p.weight, {}, sums}, context)) {
      linear_finish(sums, p.bias, p.activation, out, context);
    } else {
      linear_plain({x, p.weight, p.bias, out, p.activation}, context);
    }
  }
}

}  // namespace

void linear(const LinearParams& params, Context& context) {
  if (params.out.numel() == 0) return;
  if (!fused(params, context)) in_two_passes(params, context);
}

}  // namespace sparsevid::ops::cuda
