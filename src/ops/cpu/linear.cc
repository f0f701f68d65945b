#include "ops/cpu/linear.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/cpu_features.h"
#include "ops/cpu/copy.h"
#include "ops/cpu/onednn.h"

namespace sparsevid::ops::cpu {
namespace {

dnnl::memory::desc matrix(const TensorView& view) {
  // The stride between rows means nothing to a single row, but oneDNN checks it.
  const std::int64_t stride = view.size(0) == 1 ? view.size(1) : view.stride(0);
  return {{view.size(0), view.size(1)}, onednn_type(view.dtype()), dnnl::memory::dims{stride, 1}};
}

void append_activation(dnnl::post_ops& post_ops, Activation activation) {
  switch (activation) {
    case Activation::none:
      return;
    case Activation::gelu_tanh:
      return post_ops.append_eltwise(1, dnnl::algorithm::eltwise_gelu_tanh, 0, 0);
    case Activation::gelu_erf:
      return post_ops.append_eltwise(1, dnnl::algorithm::eltwise_gelu_erf, 0, 0);
    case Activation::silu:
      return post_ops.append_eltwise(1, dnnl::algorithm::eltwise_swish, 1, 0);
    case Activation::relu:
      return post_ops.append_eltwise(1, dnnl::algorithm::eltwise_relu, 0, 0);
  }
}

void multiply(const LinearParams& params, Context& context) {
  using dnnl::memory;
  const dnnl::engine& engine = onednn_engine();
  const auto& [x, weight, bias, out, activation] = params;
  const memory::desc x_desc = matrix(x);
  const memory::desc out_desc = matrix(out);
  const memory::desc weight_desc({x.size(1), out.size(1)}, onednn_type(weight.dtype()),
                                 memory::dims{1, x.size(1)});
  const memory::desc bias_desc({1, out.size(1)}, memory::data_type::f32,
                               memory::dims{out.size(1), 1});
  dnnl::post_ops post_ops;
  append_activation(post_ops, activation);
  dnnl::primitive_attr attributes;
  attributes.set_post_ops(post_ops);
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  const auto desc = bias.defined() ? dnnl::matmul::desc(x_desc, weight_desc, bias_desc, out_desc)
                                   : dnnl::matmul::desc(x_desc, weight_desc, out_desc);
  const dnnl::matmul::primitive_desc primitive_desc(desc, attributes, engine);
  std::unordered_map<int, memory> arguments = {
      {DNNL_ARG_SRC, {x_desc, engine, x.data()}},
      {DNNL_ARG_WEIGHTS, {weight_desc, engine, weight.data()}},
      {DNNL_ARG_DST, {out_desc, engine, out.data()}}};
  if (bias.defined()) arguments.insert({DNNL_ARG_BIAS, {bias_desc, engine, bias.data()}});
  execute(dnnl::matmul(primitive_desc), primitive_desc.scratchpad_desc(), std::move(arguments),
          context);
}

// The view itself when it is f32, else a copy in scratch.
TensorView as_f32(const TensorView& view, Context& context) {
  if (view.dtype() == DType::f32) return view;
  const TensorView copy = context.arena.tensor(DType::f32, view.shape());
  cpu::copy({view, copy}, context);
  return copy;
}

}  // namespace

std::string linear_onednn_refusal(const LinearParams& params, const Context&) {
  if (params.x.dtype() == DType::bf16 && !has_native_bf16())
    return fmt::format("bf16 is slow on {}", to_string(cpu_isa()));
  if (params.x.dtype() == DType::f32 && params.out.dtype() != DType::f32)
    return "oneDNN makes no bf16 of f32";
  return {};
}

void linear_onednn(const LinearParams& params, Context& context) {
  if (params.out.numel() == 0) return;
  with_onednn("linear", context, [&] { multiply(params, context); });
}

void linear_onednn_f32(const LinearParams& params, Context& context) {
  // Large enough for the product to take most of the time, small enough for the caches.
  constexpr std::int64_t kRows = 512;
  constexpr std::int64_t kColumns = 2048;
  const auto& out = params.out;
  for (std::int64_t column = 0; column < out.size(1); column += kColumns) {
    const std::int64_t columns = std::min(kColumns, out.size(1) - column);
    const Arena::Scope column_scope(context.arena);
    const TensorView weight = as_f32(params.weight.slice(0, column, columns), context);
    const TensorView bias =
        params.bias.defined() ? params.bias.slice(0, column, columns) : TensorView();
    for (std::int64_t row = 0; row < out.size(0); row += kRows) {
      const std::int64_t rows = std::min(kRows, out.size(0) - row);
      const Arena::Scope row_scope(context.arena);
      const TensorView x = as_f32(params.x.slice(0, row, rows), context);
      const TensorView tile = out.slice(0, row, rows).slice(1, column, columns);
      const TensorView result =
          out.dtype() == DType::f32 ? tile : context.arena.tensor(DType::f32, tile.shape());
      linear_onednn({x, weight, bias, result, params.activation}, context);
      if (out.dtype() != DType::f32) cpu::copy({result, tile}, context);
    }
  }
}

}  // namespace sparsevid::ops::cpu
