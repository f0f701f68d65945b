#include "ops/ref/conv3d.h"

#include "ops/ref/element.h"

namespace sparsevid::ops::ref {
namespace {

// The sum over the kernel's window of one output element; positions outside x are zeros.
double window_sum(const Conv3dParams& params, std::int64_t t, std::int64_t h, std::int64_t w,
                  std::int64_t channel) {
  const TensorView& x = params.x;
  const TensorView& weight = params.weight->plain;
  const std::int64_t channels = x.size(3);
  double sum = 0;
  for (std::int64_t a = 0; a < weight.size(2); ++a)
    for (std::int64_t b = 0; b < weight.size(3); ++b)
      for (std::int64_t c = 0; c < weight.size(4); ++c) {
        const std::int64_t ti = t * params.stride[0] + a - params.pad_begin[0];
        const std::int64_t hi = h * params.stride[1] + b - params.pad_begin[1];
        const std::int64_t wi = w * params.stride[2] + c - params.pad_begin[2];
        if (ti < 0 || ti >= x.size(0) || hi < 0 || hi >= x.size(1) || wi < 0 || wi >= x.size(2))
          continue;
        const std::int64_t pixel = ((ti * x.size(1) + hi) * x.size(2) + wi) * channels;
        for (std::int64_t i = 0; i < channels; ++i) {
          const std::int64_t tap =
              (((channel * channels + i) * weight.size(2) + a) * weight.size(3) + b) *
                  weight.size(4) +
              c;
          sum += load(x, pixel + i) * load(weight, tap);
        }
      }
  return sum;
}

}  // namespace

void conv3d(const Conv3dParams& params, Context&) {
  const TensorView& out = params.out;
  std::int64_t index = 0;
  for (std::int64_t t = 0; t < out.size(0); ++t)
    for (std::int64_t h = 0; h < out.size(1); ++h)
      for (std::int64_t w = 0; w < out.size(2); ++w)
        for (std::int64_t channel = 0; channel < out.size(3); ++channel) {
          const double bias = params.bias.defined() ? load(params.bias, channel) : 0;
          store(out, index++, bias + window_sum(params, t, h, w, channel));
        }
}

}  // namespace sparsevid::ops::ref
