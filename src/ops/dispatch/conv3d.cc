#include "ops/conv3d.h"

#include "ops/cpu/conv3d.h"
#include "ops/dispatch/contract.h"
#include "ops/dispatch/cuda_entries.h"
#include "ops/ref/conv3d.h"

namespace sparsevid::ops {

const ImplementationList<Conv3dParams>& conv3d_implementations() {
  static const auto list = implementations<Conv3dParams>(
      "conv3d", {{"onednn", cpu::conv3d_onednn_refusal, cpu::conv3d_onednn},
                 {"onednn_f32", cpu::conv3d_onednn_f32_refusal, cpu::conv3d_onednn_f32},
                 {"ref", never_refuses<Conv3dParams>, ref::conv3d}});
  return list;
}

void conv3d(const Conv3dParams& params, Context& context) {
  const TensorView weight = params.weight == nullptr ? TensorView() : params.weight->plain;
  const auto& x = params.x;
  const auto& out = params.out;
  bool holds = x.rank() == 4 && is_float(x) && x.contiguous() && out.rank() == 4 &&
               out.contiguous() && out.dtype() == x.dtype() && weight.rank() == 5 &&
               weight.contiguous() && weight.dtype() == x.dtype() && weight.size(1) == x.size(3) &&
               weight.size(0) == out.size(3) && is_optional_vector(params.bias, out.size(3));
  for (int axis = 0; holds && axis < 3; ++axis) {
    const auto i = static_cast<std::size_t>(axis);
    const std::int64_t padded = x.size(axis) + params.pad_begin[i] + params.pad_end[i];
    holds = params.stride[i] > 0 && params.pad_begin[i] >= 0 && params.pad_end[i] >= 0 &&
            padded >= weight.size(axis + 2) &&
            out.size(axis) == (padded - weight.size(axis + 2)) / params.stride[i] + 1;
  }
  require_contract(holds, "conv3d", {x, weight, params.bias, out});
  conv3d_implementations().run(params, context);
}

}  // namespace sparsevid::ops
