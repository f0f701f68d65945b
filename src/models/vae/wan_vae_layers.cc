#include "models/vae/wan_vae_layers.h"

#include <algorithm>
#include <cmath>

#include "core/transfer.h"
#include "ops/attention.h"
#include "ops/channel_norm.h"
#include "ops/conv3d.h"
#include "ops/copy.h"
#include "ops/gated_residual.h"

namespace sparsevid {
namespace {

Shape with_frames(const Shape& shape, std::int64_t frames) {
  Shape result = shape;
  result[0] = frames;
  return result;
}

}  // namespace

TensorView pixel_rows(const TensorView& x) {
  return x.reshape({x.size(0) * x.size(1) * x.size(2), x.size(3)});
}

void channel_norm(const TensorView& x, const TensorView& gamma, bool silu, const TensorView& out,
                  Context& context) {
  const Zone zone(context.profile, "vae.norm");
  ops::channel_norm({.x = pixel_rows(x), .gamma = gamma, .silu = silu, .out = pixel_rows(out)},
                    context);
}

bool FrameCache::fresh(int slot) const {
  const auto index = static_cast<std::size_t>(slot);
  return index >= frames_.size() || !frames_[index].defined();
}

std::size_t FrameCache::bytes() const {
  std::size_t total = 0;
  for (const auto& frames : frames_) total += frames.defined() ? frames->bytes() : 0;
  return total;
}

TensorView FrameCache::stage(int slot, int remembered, const Shape& frames, DType dtype,
                             Context& context) {
  const TensorView staged =
      context.arena.tensor(dtype, with_frames(frames, frames[0] + remembered));
  if (remembered == 0) return staged;
  const TensorView front = staged.slice(0, 0, remembered);
  if (fresh(slot)) {
    clear(front, context);
  } else {
    ops::copy({.x = frames_[static_cast<std::size_t>(slot)], .out = front}, context);
  }
  return staged;
}

void FrameCache::keep(int slot, int remembered, const TensorView& staged, Context& context) {
  if (remembered == 0) return;
  const auto index = static_cast<std::size_t>(slot);
  if (index >= frames_.size()) frames_.resize(index + 1);
  if (!frames_[index].defined())
    frames_[index] =
        Tensor(staged.dtype(), with_frames(staged.shape(), remembered), context.device);
  ops::copy({.x = staged.slice(0, staged.size(0) - remembered, remembered), .out = frames_[index]},
            context);
}

void CausalConv::declare(nn::WeightTable& table, const std::string& name, std::int64_t in_channels,
                         std::int64_t out_channels, int time, int space, int& next_slot) {
  in = in_channels;
  out = out_channels;
  kernel_time = time;
  kernel_space = space;
  slot = next_slot++;
  table.add(name + ".weight", {out, in, time, space, space}, weight.plain);
  table.add(name + ".bias", {out}, bias, nn::Precision::f32);
}

TensorView CausalConv::stage(FrameCache& cache, const Shape& frames, DType dtype,
                             Context& context) const {
  return cache.stage(slot, remembered(), frames, dtype, context);
}

void CausalConv::apply(FrameCache& cache, const TensorView& staged, const TensorView& out_frames,
                       Context& context) const {
  const int pad = kernel_space / 2;
  {
    const Zone zone(context.profile, "vae.conv");
    ops::conv3d({.x = staged,
                 .weight = &weight,
                 .bias = bias,
                 .pad_begin = {0, pad, pad},
                 .pad_end = {0, pad, pad},
                 .out = out_frames},
                context);
  }
  cache.keep(slot, remembered(), staged, context);
}

void FrameConv::declare(nn::WeightTable& table, const std::string& name, std::int64_t in_channels,
                        std::int64_t out_channels) {
  in = in_channels;
  out = out_channels;
  table.add(name + ".weight", {out, in, 3, 3}, weight.plain);
  table.add(name + ".bias", {out}, bias, nn::Precision::f32);
}

void VaeResidualBlock::declare(nn::WeightTable& table, const std::string& name, std::int64_t in,
                               std::int64_t out, int& next_slot) {
  table.add(name + ".norm1.gamma", {in, 1, 1, 1}, norm1, nn::Precision::f32);
  conv1.declare(table, name + ".conv1", in, out, 3, 3, next_slot);
  table.add(name + ".norm2.gamma", {out, 1, 1, 1}, norm2, nn::Precision::f32);
  conv2.declare(table, name + ".conv2", out, out, 3, 3, next_slot);
  if (in != out) {
    table.add(name + ".conv_shortcut.weight", {out, in, 1, 1, 1}, shortcut_weight_);
    table.add(name + ".conv_shortcut.bias", {out}, shortcut.bias, nn::Precision::f32);
  }
}

void VaeResidualBlock::finish() {
  norm1 = norm1.reshape({conv1.in});
  norm2 = norm2.reshape({conv2.in});
  if (shortcut_weight_.defined()) shortcut.weight = shortcut_weight_.reshape({conv1.out, conv1.in});
}

void VaeResidualBlock::apply(FrameCache& cache, const TensorView& x, const TensorView& out,
                             Context& context) const {
  // The two staged inputs are never needed at once, and `out` holds what lies between them.
  {
    const Arena::Scope scope(context.arena);
    const TensorView staged = conv1.stage(cache, x.shape(), x.dtype(), context);
    channel_norm(x, norm1, true, staged.slice(0, conv1.remembered(), x.size(0)), context);
    conv1.apply(cache, staged, out, context);
  }
  {
    const Arena::Scope scope(context.arena);
    const TensorView staged = conv2.stage(cache, out.shape(), out.dtype(), context);
    channel_norm(out, norm2, true, staged.slice(0, conv2.remembered(), out.size(0)), context);
    conv2.apply(cache, staged, out, context);
  }
  const Arena::Scope scope(context.arena);
  TensorView residual = pixel_rows(x);
  if (shortcut.weight.defined()) {
    residual = context.arena.tensor(out.dtype(), pixel_rows(out).shape());
    shortcut.apply(pixel_rows(x), residual, context);
  }
  const Zone zone(context.profile, "vae.norm");
  ops::gated_residual({.x = pixel_rows(out), .y = residual}, context);
}

void VaeMidBlock::declare(nn::WeightTable& table, const std::string& name, std::int64_t channels,
                          int& next_slot) {
  before.declare(table, name + ".resnets.0", channels, channels, next_slot);
  after.declare(table, name + ".resnets.1", channels, channels, next_slot);
  const std::string attention = name + ".attentions.0.";
  table.add(attention + "norm.gamma", {channels, 1, 1}, norm, nn::Precision::f32);
  table.add(attention + "to_qkv.weight", {3 * channels, channels, 1, 1}, to_qkv_weight_);
  table.add(attention + "to_qkv.bias", {3 * channels}, to_qkv.bias, nn::Precision::f32);
  table.add(attention + "proj.weight", {channels, channels, 1, 1}, proj_weight_);
  table.add(attention + "proj.bias", {channels}, proj.bias, nn::Precision::f32);
}

void VaeMidBlock::finish() {
  before.finish();
  after.finish();
  const std::int64_t channels = norm.size(0);
  norm = norm.reshape({channels});
  to_qkv.weight = to_qkv_weight_.reshape({3 * channels, channels});
  proj.weight = proj_weight_.reshape({channels, channels});
}

void VaeMidBlock::attend(const TensorView& x, Context& context) const {
  const Zone zone(context.profile, "vae.attention");
  const Arena::Scope scope(context.arena);
  const std::int64_t frames = x.size(0);
  const std::int64_t pixels = x.size(1) * x.size(2);
  const std::int64_t channels = x.size(3);
  const TensorView normed = context.arena.tensor(x.dtype(), x.shape());
  const TensorView qkv = context.arena.tensor(x.dtype(), {frames * pixels, 3 * channels});
  channel_norm(x, norm, false, normed, context);
  to_qkv.apply(pixel_rows(normed), qkv, context);
  // Frames do not see each other: to the op they are heads.
  const TensorView by_frame = qkv.reshape({frames, pixels, 3 * channels});
  const TensorView attended = normed.reshape({frames, pixels, channels});
  ops::attention({.q = by_frame.slice(2, 0, channels),
                  .k = by_frame.slice(2, channels, channels),
                  .v = by_frame.slice(2, 2 * channels, channels),
                  .out = attended,
                  .scale = 1 / std::sqrt(double(channels))},
                 context);
  const TensorView projected = context.arena.tensor(x.dtype(), {frames * pixels, channels});
  proj.apply(pixel_rows(normed), projected, context);
  ops::gated_residual({.x = pixel_rows(x), .y = projected}, context);
}

void VaeMidBlock::apply(FrameCache& cache, const TensorView& x, const TensorView& scratch,
                        Context& context) const {
  before.apply(cache, x, scratch, context);
  attend(scratch, context);
  after.apply(cache, scratch, x, context);
}

}  // namespace sparsevid
