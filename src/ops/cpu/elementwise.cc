#include "ops/cpu/elementwise.h"

#include "ops/cpu/pieces.h"
#include "ops/cpu/row_kernels.h"

namespace sparsevid::ops::cpu {

void gated_residual(const GatedResidualParams& params, Context& context) {
  const auto& [x, y, gate] = params;
  const std::int64_t dim = x.size(1);
  for_row_pieces(context, x.size(0), dim,
                 [&, &x = x, &y = y, &gate = gate](std::int64_t begin, std::int64_t rows) {
                   for (std::int64_t row = begin; row < begin + rows; ++row)
                     row_kernels().gated_residual(address(x, row * x.stride(0)),
                                                  address(y, row * y.stride(0)),
                                                  optional_floats(gate), x.dtype(), dim);
                 });
}

std::string activate_refusal(const ActivateParams& params, const Context&) {
  return params.activation == Activation::gelu_erf ? "erf is not vectorised" : "";
}

void activate(const ActivateParams& params, Context& context) {
  for_row_pieces(context, params.x.numel(), 1, [&](std::int64_t begin, std::int64_t count) {
    row_kernels().activate(address(params.x, begin), optional_address(params.factor, begin),
                           address(params.out, begin), params.x.dtype(), params.activation, count);
  });
}

void guidance(const GuidanceParams& params, Context& context) {
  for_row_pieces(context, params.out.numel(), 1, [&](std::int64_t begin, std::int64_t count) {
    row_kernels().guidance(address(params.cond, begin), address(params.uncond, begin),
                           static_cast<float>(params.scale), params.out.as<float>() + begin,
                           params.cond.dtype(), count);
  });
}

void linear_combination(const LinearCombinationParams& params, Context& context) {
  float* out = params.out.as<float>();
  // A term that is `out` itself comes first, before its values are overwritten.
  float keep = 0;
  for (const auto& term : params.terms)
    if (term.x.data() == out) keep += static_cast<float>(term.coefficient);
  for_row_pieces(context, params.out.numel(), 1, [&](std::int64_t begin, std::int64_t count) {
    float scale = keep;
    bool written = false;
    for (const auto& [x, coefficient] : params.terms) {
      if (x.data() == out) continue;
      row_kernels().accumulate(x.as<float>() + begin, static_cast<float>(coefficient), scale,
                               out + begin, count);
      scale = 1;
      written = true;
    }
    if (!written) row_kernels().accumulate(out + begin, keep, 0, out + begin, count);
  });
}

void to_rgb8(const ToRgb8Params& params, Context& context) {
  for_row_pieces(context, params.x.numel(), 1, [&](std::int64_t begin, std::int64_t count) {
    row_kernels().to_rgb8(address(params.x, begin), params.x.dtype(),
                          params.out.as<std::uint8_t>() + begin, count);
  });
}

}  // namespace sparsevid::ops::cpu
