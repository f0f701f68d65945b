#include "ops/cpu/conv3d.h"

#include <fmt/format.h>

#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

#include "base/cpu_features.h"
#include "core/transfer.h"
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

// oneDNN before 3.1 reads past the end of a table while it generates its batch-reduce kernel for
// AMX (jit_brgemm_amx_uker, skipped_bd_mask) and may crash on what it finds there.
void avoid_unsafe_kernel(dnnl::convolution_forward::primitive_desc& primitive_desc) {
  while (std::string_view(primitive_desc.impl_info_str()) == "brgconv:avx512_core_amx_bf16")
    if (!primitive_desc.next_impl()) fail(ErrorKind::internal, "conv3d: no safe kernel in oneDNN");
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
  dnnl::convolution_forward::primitive_desc primitive_desc(desc, attributes, engine);
  avoid_unsafe_kernel(primitive_desc);
  std::unordered_map<int, memory> arguments = {
      {DNNL_ARG_SRC, {x_desc, engine, params.x.data()}},
      {DNNL_ARG_WEIGHTS, pack(*params.weight, primitive_desc.weights_desc())},
      {DNNL_ARG_DST, {out_desc, engine, params.out.data()}}};
  if (params.bias.defined())
    arguments.insert({DNNL_ARG_BIAS, {bias_desc, engine, params.bias.data()}});
  execute(dnnl::convolution_forward(primitive_desc), primitive_desc.scratchpad_desc(),
          std::move(arguments), context);
}

// A product of pixels does not care which frame they are in, but oneDNN's for AMX is wrong beyond
// the first frame for some sizes (seen with 2.6.3).
Conv3dParams as_one_frame(const Conv3dParams& params) {
  const TensorView& weight = params.weight->plain;
  constexpr std::array<int, 3> kNone = {0, 0, 0};
  constexpr std::array<int, 3> kEvery = {1, 1, 1};
  if (weight.numel() != weight.size(0) * weight.size(1) || params.stride != kEvery ||
      params.pad_begin != kNone || params.pad_end != kNone)
    return params;
  Conv3dParams result = params;
  const auto joined = [](const TensorView& view) {
    return view.reshape({1, view.size(0) * view.size(1), view.size(2), view.size(3)});
  };
  result.x = joined(params.x);
  result.out = joined(params.out);
  return result;
}

// The padding in time as frames: oneDNN's kernel for AMX takes it for something else (seen
// with 2.6.3).
Conv3dParams with_frames_of_zeros(const Conv3dParams& params, Context& context) {
  const int before = params.pad_begin[0];
  const int after = params.pad_end[0];
  if (before == 0 && after == 0) return params;
  Shape shape = params.x.shape();
  const std::int64_t frames = shape[0];
  shape[0] += before + after;
  const TensorView padded = context.arena.tensor(params.x.dtype(), shape);
  clear(padded.slice(0, 0, before), context);
  cpu::copy({params.x, padded.slice(0, before, frames)}, context);
  clear(padded.slice(0, before + frames, after), context);
  Conv3dParams result = params;
  result.x = padded;
  result.pad_begin[0] = result.pad_end[0] = 0;
  return result;
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
  const Arena::Scope scope(context.arena);
  const Conv3dParams prepared = params.x.dtype() == DType::bf16
                                    ? with_frames_of_zeros(as_one_frame(params), context)
                                    : params;
  with_onednn("conv3d", context, [&] { convolve(prepared, context); });
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
