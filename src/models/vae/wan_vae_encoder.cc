#include "models/vae/wan_vae_encoder.h"

#include "core/transfer.h"
#include "ops/conv3d.h"
#include "ops/copy.h"

namespace sparsevid {
namespace {

constexpr int kColors = 3;

}  // namespace

void WanVaeEncoder::declare(nn::WeightTable& table, const WanVaeConfig& config) {
  config_ = config;
  dtype_ = table.compute_dtype();
  const int levels = config.levels();
  int slot = 0;
  int index = 0;  // the checkpoint numbers residual blocks and downsamplers in one list
  std::int64_t channels = config.base_dim;
  conv_in_.declare(table, "encoder.conv_in", kColors, channels, 3, 3, slot);
  const auto next_name = [&] { return "encoder.down_blocks." + std::to_string(index++); };

  down_blocks_.resize(static_cast<std::size_t>(levels));
  for (std::size_t i = 0; i < down_blocks_.size(); ++i) {
    DownBlock& block = down_blocks_[i];
    const std::int64_t out = std::int64_t{config.base_dim} * config.dim_mult[i];
    block.resnets.resize(static_cast<std::size_t>(config.num_res_blocks));
    for (auto& resnet : block.resnets) {
      resnet.declare(table, next_name(), channels, out, slot);
      channels = out;
    }
    block.downsamples = i + 1 < down_blocks_.size();
    if (!block.downsamples) continue;
    block.downsamples_time = config.temperal_downsample[i];
    const std::string name = next_name();
    block.resample.declare(table, name + ".resample.1", channels, channels);
    if (block.downsamples_time)
      block.time_conv.declare(table, name + ".time_conv", channels, channels, 3, 1, slot);
  }
  mid_.declare(table, "encoder.mid_block", channels, slot);
  table.add("encoder.norm_out.gamma", {channels, 1, 1, 1}, norm_out_, nn::Precision::f32);
  const std::int64_t moments = std::int64_t{2} * config.z_dim;
  conv_out_.declare(table, "encoder.conv_out", channels, moments, 3, 3, slot);
  table.add("quant_conv.weight", {moments, moments, 1, 1, 1}, quant_weight_, nn::Precision::f32);
  table.add("quant_conv.bias", {moments}, quant_bias_, nn::Precision::f32);
}

void WanVaeEncoder::finish(Context& context) {
  for (auto& block : down_blocks_) {
    for (auto& resnet : block.resnets) resnet.finish();
    if (block.downsamples) block.resample.finish();
  }
  mid_.finish();
  norm_out_ = norm_out_.reshape({norm_out_.size(0)});

  // Only the posterior's mean is used: ((W x + b) - mean) / std, rows 0 to z_dim.
  const std::int64_t z = config_.z_dim;
  const Tensor stored_weight = copy_to(Device::cpu, quant_weight_, context);
  const Tensor stored_bias = copy_to(Device::cpu, quant_bias_, context);
  Tensor folded(DType::f32, {z, 2 * z});
  Tensor folded_bias(DType::f32, {z});
  for (std::int64_t row = 0; row < z; ++row) {
    const auto r = static_cast<std::size_t>(row);
    const double deviation = config_.latents_std[r];
    for (std::int64_t i = row * 2 * z; i < (row + 1) * 2 * z; ++i)
      folded->as<float>()[i] = static_cast<float>(stored_weight->as<float>()[i] / deviation);
    folded_bias->as<float>()[row] =
        static_cast<float>((stored_bias->as<float>()[row] - config_.latents_mean[r]) / deviation);
  }
  folded_bias_ = copy_to(context.device, folded_bias, context);
  folded_weight_ = Tensor(dtype_, {z, 2 * z}, context.device);
  ops::copy({.x = copy_to(context.device, folded, context), .out = folded_weight_}, context);
  quant_.weight = folded_weight_;
  quant_.bias = folded_bias_;
}

TensorView WanVaeEncoder::downsample(const DownBlock& block, FrameCache& cache, const TensorView& x,
                                     bool first, Context& context) const {
  const std::int64_t frames = x.size(0);
  const Shape halved = {frames, x.size(1) / 2, x.size(2) / 2, block.resample.out};
  const TensorView small = context.arena.tensor(dtype_, halved);
  {
    const Zone zone(context.profile, "vae.conv");
    ops::conv3d({.x = x,
                 .weight = &block.resample.weight,
                 .bias = block.resample.bias,
                 .stride = {1, 2, 2},
                 .pad_end = {0, 1, 1},
                 .out = small},
                context);
  }
  if (!block.downsamples_time) return small;
  // The first frame passes as it is; later pairs see the frame before them.
  constexpr int kRemembered = 1;
  const int slot = block.time_conv.slot;
  const TensorView staged = cache.stage(slot, kRemembered, halved, dtype_, context);
  ops::copy({.x = small, .out = staged.slice(0, kRemembered, frames)}, context);
  cache.keep(slot, kRemembered, staged, context);
  if (first) return small;
  const TensorView out =
      context.arena.tensor(dtype_, {frames / 2, halved[1], halved[2], block.time_conv.out});
  const Zone zone(context.profile, "vae.conv");
  ops::conv3d({.x = staged,
               .weight = &block.time_conv.weight,
               .bias = block.time_conv.bias,
               .stride = {2, 1, 1},
               .out = out},
              context);
  return out;
}

TensorView WanVaeEncoder::encode_chunk(FrameCache& cache, const TensorView& frames, bool first,
                                       Context& context) const {
  const std::int64_t scale = config_.spatial_compression();
  const TensorView latents = context.arena.tensor(
      dtype_, {1, frames.size(1) / scale, frames.size(2) / scale, config_.z_dim});

  const Arena::Scope scope(context.arena);
  const auto like = [&](const TensorView& x, std::int64_t channels) {
    return context.arena.tensor(dtype_, {x.size(0), x.size(1), x.size(2), channels});
  };
  TensorView x = like(frames, conv_in_.out);
  {
    const Arena::Scope input(context.arena);
    const TensorView staged = conv_in_.stage(cache, frames.shape(), dtype_, context);
    ops::copy({.x = frames, .out = staged.slice(0, conv_in_.remembered(), frames.size(0))},
              context);
    conv_in_.apply(cache, staged, x, context);
  }
  for (const auto& block : down_blocks_) {
    context.check_cancelled();
    for (const auto& resnet : block.resnets) {
      const TensorView out = like(x, resnet.conv1.out);
      resnet.apply(cache, x, out, context);
      x = out;
    }
    if (block.downsamples) x = downsample(block, cache, x, first, context);
  }
  mid_.apply(cache, x, like(x, x.size(3)), context);
  const TensorView moments = like(x, conv_out_.out);
  const TensorView staged = conv_out_.stage(cache, x.shape(), dtype_, context);
  channel_norm(x, norm_out_, true, staged.slice(0, conv_out_.remembered(), x.size(0)), context);
  conv_out_.apply(cache, staged, moments, context);
  quant_.apply(pixel_rows(moments), pixel_rows(latents), context);
  return latents;
}

}  // namespace sparsevid
