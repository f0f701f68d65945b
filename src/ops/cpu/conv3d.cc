#include "ops/cpu/conv3d.h"

#include <fmt/format.h>

#include <memory>
#include <mutex>
#include <vector>

#include "base/cpu_features.h"
#include "ops/cpu/copy.h"
#include "ops/cpu/onednn.h"

namespace sparsevid::ops::cpu {
namespace {

using dnnl::memory;

// The weights in the orders that oneDNN asked for: usually one, at most one per shape of the input.
struct PackedWeights {
  std::mutex mutex;
  std::vector<memory> packed;
};

memory::dims extents(const std::array<int, 3>& values) { return {values[0], values[1], values[2]}; }

memory::desc video(const TensorView& view) {
  return {{1, view.size(3), view.size(0), view.size(1), view.size(2)},
          onednn_type(view.dtype()),
          memory::format_tag::ndhwc};
}

memory::desc weight_of(const TensorView& weight, DType dtype, memory::format_tag tag) {
  return {{weight.size(0), weight.size(1), weight.size(2), weight.size(3), weight.size(4)},
          onednn_type(dtype),
          tag};
}

memory pack(const ConvWeight& weight, const memory::desc& wanted) {
  static std::mutex creation;
  std::shared_ptr<PackedWeights> cache;
  {
    const std::lock_guard lock(creation);
    if (!weight.packed) weight.packed = std::make_shared<PackedWeights>();
    cache = std::static_pointer_cast<PackedWeights>(weight.packed);
  }
  const std::lock_guard lock(cache->mutex);
  for (const auto& packed : cache->packed)
    if (packed.get_desc() == wanted) return packed;
  const dnnl::engine& engine = onednn_engine();
  memory plain(weight_of(weight.plain, weight.plain.dtype(), memory::format_tag::oidhw), engine,
               weight.plain.data());
  memory packed(wanted, engine);
  dnnl::stream stream(engine);
  dnnl::reorder(plain, packed).execute(stream, plain, packed);
  stream.wait();
  cache->packed.push_back(packed);
  return packed;
}

void convolve(const Conv3dParams& params, Context& context) {
  const dnnl::engine& engine = onednn_engine();
  const memory::desc x_desc = video(params.x);
  const memory::desc out_desc = video(params.out);
  const memory::desc weight_desc =
      weight_of(params.weight->plain, params.x.dtype(), memory::format_tag::any);
  const memory::desc bias_desc({params.out.size(3)}, memory::data_type::f32, memory::format_tag::a);
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  constexpr auto kKind = dnnl::prop_kind::forward_inference;
  constexpr auto kDirect = dnnl::algorithm::convolution_direct;
  using Desc = dnnl::convolution_forward::desc;
  const auto desc =
      params.bias.defined()
          ? Desc(kKind, kDirect, x_desc, weight_desc, bias_desc, out_desc, extents(params.stride),
                 extents(params.pad_begin), extents(params.pad_end))
          : Desc(kKind, kDirect, x_desc, weight_desc, out_desc, extents(params.stride),
                 extents(params.pad_begin), extents(params.pad_end));
  const dnnl::convolution_forward::primitive_desc primitive_desc(desc, attributes, engine);
  std::unordered_map<int, memory> arguments = {
      {DNNL_ARG_SRC, {x_desc, engine, params.x.data()}},
      {DNNL_ARG_WEIGHTS, pack(*params.weight, primitive_desc.weights_desc())},
      {DNNL_ARG_DST, {out_desc, engine, params.out.data()}}};
  if (params.bias.defined())
    arguments.insert({DNNL_ARG_BIAS, {bias_desc, engine, params.bias.data()}});
  execute(dnnl::convolution_forward(primitive_desc), primitive_desc.scratchpad_desc(),
          std::move(arguments), context);
}

std::string too_old() {
  return cpu_isa() < CpuIsa::avx2 ? "oneDNN has no fast channels-last convolution below avx2" : "";
}

}  // namespace

std::string conv3d_onednn_refusal(const Conv3dParams& params, const Context&) {
  if (params.x.dtype() == DType::bf16 && !has_native_bf16())
    return fmt::format("bf16 is slow on {}", to_string(cpu_isa()));
  return too_old();
}

void conv3d_onednn(const Conv3dParams& params, Context& context) {
  if (params.out.numel() == 0) return;
  with_onednn("conv3d", context, [&] { convolve(params, context); });
}

std::string conv3d_onednn_f32_refusal(const Conv3dParams& params, const Context&) {
  return params.x.dtype() == DType::f32 ? "the call is in f32 already" : too_old();
}

void conv3d_onednn_f32(const Conv3dParams& params, Context& context) {
  const Arena::Scope scope(context.arena);
  Conv3dParams converted = params;
  converted.x = context.arena.tensor(DType::f32, params.x.shape());
  converted.out = context.arena.tensor(DType::f32, params.out.shape());
  cpu::copy({params.x, converted.x}, context);
  conv3d_onednn(converted, context);
  cpu::copy({converted.out, params.out}, context);
}

}  // namespace sparsevid::ops::cpu
