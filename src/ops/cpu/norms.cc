#include "ops/cpu/norms.h"

#include <fmt/format.h>

#include "ops/cpu/pieces.h"
#include "ops/cpu/row_kernels.h"

namespace sparsevid::ops::cpu {
namespace {

Rows rows_from(const TensorView& view, std::int64_t begin) {
  return {address(view, begin * view.stride(0)), view.dtype(), view.stride(0)};
}

void normalise(const TensorView& x, const TensorView& out, const TensorView& scale,
               const TensorView& shift, float scale_offset, double epsilon,
               const Context& context) {
  for_row_pieces(context, x.size(0), x.size(1), [&](std::int64_t begin, std::int64_t rows) {
    row_kernels().layer_norm({rows_from(x, begin), rows_from(out, begin), optional_floats(scale),
                              optional_floats(shift), scale_offset, static_cast<float>(epsilon),
                              rows, x.size(1)});
  });
}

}  // namespace

std::string long_row_refusal(std::int64_t dim) {
  return dim <= kLongestBufferedRow
             ? ""
             : fmt::format("{} elements in a row, more than {}", dim, kLongestBufferedRow);
}

void layer_norm(const LayerNormParams& params, Context& context) {
  normalise(params.x, params.out, params.weight, params.bias, 0, params.epsilon, context);
}

void layer_norm_modulate(const LayerNormModulateParams& params, Context& context) {
  normalise(params.x, params.out, params.scale, params.shift, 1, params.epsilon, context);
}

void rms_norm(const RmsNormParams& params, Context& context) {
  const std::int64_t dim = params.x.size(1);
  for_row_pieces(context, params.x.size(0), dim, [&](std::int64_t begin, std::int64_t rows) {
    row_kernels().rms_norm({rows_from(params.x, begin), rows_from(params.out, begin),
                            params.weight.as<float>(), nullptr, nullptr,
                            static_cast<float>(params.epsilon), rows, dim, dim});
  });
}

void rms_norm_rope(const RmsNormRopeParams& params, Context& context) {
  const std::int64_t head_dim = params.x.size(2);
  const std::int64_t dim = params.x.size(1) * head_dim;
  for_row_pieces(context, params.x.size(0), dim, [&](std::int64_t begin, std::int64_t rows) {
    const std::int64_t angle = begin * (head_dim / 2);
    const bool rotate = params.cos.defined();
    row_kernels().rms_norm({rows_from(params.x, begin), rows_from(params.out, begin),
                            params.weight.as<float>(),
                            rotate ? params.cos.as<float>() + angle : nullptr,
                            rotate ? params.sin.as<float>() + angle : nullptr,
                            static_cast<float>(params.epsilon), rows, dim, head_dim});
  });
}

void channel_norm(const ChannelNormParams& params, Context& context) {
  const std::int64_t dim = params.x.size(1);
  for_row_pieces(context, params.x.size(0), dim, [&](std::int64_t begin, std::int64_t rows) {
    row_kernels().channel_norm({address(params.x, begin * dim), address(params.out, begin * dim),
                                params.x.dtype(), params.gamma.as<float>(), params.silu, rows,
                                dim});
  });
}

}  // namespace sparsevid::ops::cpu
