#include "models/vae/wan_vae_decoder.h"

#include <algorithm>

#include "core/transfer.h"
#include "models/op_scratch.h"
#include "ops/conv3d.h"
#include "ops/copy.h"
#include "ops/upsample_nearest.h"

namespace sparsevid {
namespace {

constexpr int kColors = 3;
/// Channels that f32 is split for at once, see F32Products::bf16x3 on a GPU.
constexpr std::int64_t kSplitChannels = 32;

std::int64_t rounded_up(std::int64_t value, std::int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

}  // namespace

template <class Decoder, class Visit>
void WanVaeDecoder::each_conv(Decoder& decoder, std::int64_t height, std::int64_t width,
                              const Visit& visit) {
  std::int64_t frames = 1;
  std::int64_t pixels = height * width;
  const auto causal = [&](auto& conv) {
    const std::int64_t taps =
        std::int64_t{conv.kernel_time} * conv.kernel_space * conv.kernel_space;
    visit(conv.weight, ConvUse{conv.in, conv.out, taps, conv.remembered(), frames, pixels});
  };
  const auto residual = [&](auto& block) {
    causal(block.conv1);
    causal(block.conv2);
  };
  causal(decoder.conv_in_);
  residual(decoder.mid_.before);
  residual(decoder.mid_.after);
  for (auto& block : decoder.up_blocks_) {
    for (auto& resnet : block.resnets) residual(resnet);
    if (block.upsamples_time) {
      causal(block.time_conv);
      frames *= 2;
    }
    if (block.upsamples) {
      pixels *= 4;
      visit(block.resample.weight, ConvUse{block.resample.in, block.resample.out, 9, 0, 1, pixels});
    }
  }
  causal(decoder.conv_out_);
}

void WanVaeDecoder::declare(nn::WeightTable& table, const WanVaeConfig& config,
                            ops::F32Products products) {
  config_ = config;
  dtype_ = table.compute_dtype();
  products_ = products;
  const std::int64_t z = config.z_dim;
  const int levels = config.levels();
  int slot = 0;
  table.add("post_quant_conv.weight", {z, z, 1, 1, 1}, post_quant_weight_, nn::Precision::f32);
  table.add("post_quant_conv.bias", {z}, post_quant_bias_, nn::Precision::f32);
  std::int64_t channels = std::int64_t{config.base_dim} * config.dim_mult.back();
  conv_in_.declare(table, "decoder.conv_in", z, channels, 3, 3, slot);
  mid_.declare(table, "decoder.mid_block", channels, slot);

  up_blocks_.resize(static_cast<std::size_t>(levels));
  for (int i = 0; i < levels; ++i) {
    UpBlock& block = up_blocks_[static_cast<std::size_t>(i)];
    const auto level = static_cast<std::size_t>(levels - 1 - i);
    const std::string name = "decoder.up_blocks." + std::to_string(i);
    const std::int64_t out = std::int64_t{config.base_dim} * config.dim_mult[level];
    block.resnets.resize(static_cast<std::size_t>(config.num_res_blocks) + 1);
    for (std::size_t r = 0; r < block.resnets.size(); ++r) {
      block.resnets[r].declare(table, name + ".resnets." + std::to_string(r), channels, out, slot);
      channels = out;
    }
    block.upsamples = level > 0;
    if (!block.upsamples) continue;
    // The decoder undoes the encoder's downsampling in reverse order.
    block.upsamples_time = config.temperal_downsample[level - 1];
    const std::string upsampler = name + ".upsamplers.0.";
    block.resample.declare(table, upsampler + "resample.1", out, out / 2);
    if (block.upsamples_time)
      block.time_conv.declare(table, upsampler + "time_conv", out, 2 * out, 3, 1, slot);
    channels = out / 2;
  }
  table.add("decoder.norm_out.gamma", {channels, 1, 1, 1}, norm_out_, nn::Precision::f32);
  conv_out_.declare(table, "decoder.conv_out", channels, kColors, 3, 3, slot);
  each_conv(*this, 1, 1,
            [&](ops::ConvWeight& weight, const ConvUse&) { weight.products = products; });
}

void WanVaeDecoder::finish(Context& context) {
  mid_.finish();
  for (auto& block : up_blocks_) {
    for (auto& resnet : block.resnets) resnet.finish();
    if (block.upsamples) block.resample.finish();
  }
  norm_out_ = norm_out_.reshape({norm_out_.size(0)});

  // W (z std + mean) + b = (W std) z + (W mean + b)
  const std::int64_t z = config_.z_dim;
  const Tensor stored_weight = copy_to(Device::cpu, post_quant_weight_, context);
  const Tensor stored_bias = copy_to(Device::cpu, post_quant_bias_, context);
  Tensor folded(DType::f32, {z, z});
  Tensor folded_bias(DType::f32, {z});
  for (std::int64_t row = 0; row < z; ++row) {
    double bias = stored_bias->as<float>()[row];
    for (std::int64_t column = 0; column < z; ++column) {
      const auto c = static_cast<std::size_t>(column);
      const double weight = stored_weight->as<float>()[row * z + column];
      folded->as<float>()[row * z + column] = static_cast<float>(weight * config_.latents_std[c]);
      bias += weight * config_.latents_mean[c];
    }
    folded_bias->as<float>()[row] = static_cast<float>(bias);
  }
  folded_bias_ = copy_to(context.device, folded_bias, context);
  folded_weight_ = Tensor(dtype_, {z, z}, context.device);
  ops::copy({.x = copy_to(context.device, folded, context), .out = folded_weight_}, context);
  post_quant_.weight = folded_weight_;
  post_quant_.bias = folded_bias_;
}

std::int64_t WanVaeDecoder::largest(std::int64_t frames, std::int64_t height,
                                    std::int64_t width) const {
  std::int64_t pixels = frames * height * width;
  std::int64_t most = pixels * conv_in_.out;
  for (const auto& block : up_blocks_) {
    const std::int64_t channels = block.resnets.front().conv1.out;
    if (block.upsamples_time) pixels *= 2;
    most = std::max(most, pixels * std::max(channels, block.resnets.front().conv1.in));
    if (block.upsamples) pixels *= 4;
    if (block.upsamples) most = std::max(most, pixels * block.resample.out);
  }
  return most;
}

std::size_t WanVaeDecoder::workspace_bytes(std::int64_t height, std::int64_t width,
                                           Device device) const {
  // Two buffers, and beside them a staged input of up to 4 + 2 frames or attention in the middle.
  const std::int64_t buffer = largest(1, height, width);
  std::size_t beside = static_cast<std::size_t>(buffer * 3 / 2) * size_of(dtype_);
  if (device == Device::cuda) {
    beside =
        std::max(beside, static_cast<std::size_t>(buffer) * size_of(dtype_) + kLinearScratchBytes);
    beside = std::max(
        beside, product_attention_scratch(1, height * width, conv_in_.out, dtype_) +
                    static_cast<std::size_t>(5 * height * width * conv_in_.out) * size_of(dtype_));
    if (products_ == ops::F32Products::bf16x3) beside += split_bytes(height, width);
    beside += kSmallScratchBytes;
  } else {
    beside += static_cast<std::size_t>(buffer / 2) * size_of(dtype_);  // what oneDNN works in
  }
  const std::int64_t scale = config_.spatial_compression();
  const std::int64_t colors =
      config_.temporal_compression() * height * scale * width * scale * kColors;
  const std::size_t widened = dtype_ == DType::f32 ? 0 : sizeof(float);
  return static_cast<std::size_t>(2 * buffer) * size_of(dtype_) + beside +
         static_cast<std::size_t>(colors) * (size_of(dtype_) + widened + 1);
}

std::size_t WanVaeDecoder::packed_bytes() const {
  // Kernels' tiles: columns of the output, and steps of the sum over taps and channels. bf16x3
  // keeps both halves of whole steps of channels.
  const bool bf16 = dtype_ == DType::bf16;
  const bool split = products_ == ops::F32Products::bf16x3;
  std::int64_t elements = 0;
  each_conv(*this, 1, 1, [&](const ops::ConvWeight&, const ConvUse& conv) {
    const std::int64_t tile = split ? 1 : !bf16 ? 64 : conv.out <= 32 ? 32 : 96;
    const std::int64_t channels = rounded_up(conv.in, split ? kSplitChannels : bf16 ? 8 : 1);
    elements += rounded_up(conv.out, tile) * rounded_up(conv.taps * channels, bf16 ? 32 : 16);
  });
  return static_cast<std::size_t>(elements) * size_of(dtype_);
}

std::size_t WanVaeDecoder::split_bytes(std::int64_t height, std::int64_t width) const {
  std::int64_t most = 0;
  each_conv(*this, height, width, [&](const ops::ConvWeight&, const ConvUse& conv) {
    most = std::max(
        most, (conv.remembered + conv.frames) * conv.pixels * rounded_up(conv.in, kSplitChannels));
  });
  return static_cast<std::size_t>(most) * size_of(dtype_);
}

std::size_t WanVaeDecoder::remembered_bytes(std::int64_t height, std::int64_t width) const {
  std::int64_t remembered = 0;
  each_conv(*this, height, width, [&](const ops::ConvWeight&, const ConvUse& conv) {
    remembered += conv.remembered * conv.pixels * conv.in;
  });
  return static_cast<std::size_t>(remembered) * size_of(dtype_);
}

TensorView WanVaeDecoder::upsample(const UpBlock& block, FrameCache& cache, const TensorView& x,
                                   bool first, Buffers& buffers, Context& context) const {
  const Arena::Scope scope(context.arena);
  const std::int64_t height = x.size(1);
  const std::int64_t width = x.size(2);
  const std::int64_t channels = x.size(3);
  TensorView timed = x;
  if (block.upsamples_time) {
    // The first frame of a sequence stands for itself; every later one becomes two.
    const std::int64_t kept = first ? 1 : 0;
    const std::int64_t doubled = x.size(0) - kept;
    timed = buffers.in_other({kept + 2 * doubled, height, width, channels});
    if (kept > 0) ops::copy({.x = x.slice(0, 0, kept), .out = timed.slice(0, 0, kept)}, context);
    if (doubled > 0) {
      const TensorView source = x.slice(0, kept, doubled);
      const TensorView staged = block.time_conv.stage(cache, source.shape(), dtype_, context);
      ops::copy({.x = source, .out = staged.slice(0, block.time_conv.remembered(), doubled)},
                context);
      const TensorView pairs = context.arena.tensor(dtype_, {doubled, height, width, 2 * channels});
      block.time_conv.apply(cache, staged, pairs, context);
      // Channel block 0 is the even frame, block 1 the odd one.
      ops::copy(
          {.x = pairs.reshape({doubled, height * width, 2, channels}).transpose(1, 2),
           .out =
               timed.slice(0, kept, 2 * doubled).reshape({doubled, 2, height * width, channels})},
          context);
    }
    std::swap(buffers.current, buffers.other);
  }
  const TensorView out =
      buffers.in_other({timed.size(0), 2 * height, 2 * width, block.resample.out});
  const TensorView enlarged = context.arena.tensor(dtype_, {1, 2 * height, 2 * width, channels});
  for (std::int64_t frame = 0; frame < timed.size(0); ++frame) {
    const Zone zone(context.profile, "vae.conv");
    ops::upsample_nearest({.x = timed.slice(0, frame, 1), .out = enlarged}, context);
    ops::conv3d({.x = enlarged,
                 .weight = &block.resample.weight,
                 .bias = block.resample.bias,
                 .pad_begin = {0, 1, 1},
                 .pad_end = {0, 1, 1},
                 .out = out.slice(0, frame, 1)},
                context);
  }
  std::swap(buffers.current, buffers.other);
  return out;
}

TensorView WanVaeDecoder::decode_chunk(FrameCache& cache, const TensorView& latents, bool first,
                                       Context& context) const {
  const std::int64_t frames = latents.size(0);
  const std::int64_t height = latents.size(1);
  const std::int64_t width = latents.size(2);
  const std::int64_t per_latent = config_.temporal_compression();
  const std::int64_t scale = config_.spatial_compression();
  const TensorView result = context.arena.tensor(
      dtype_,
      {per_latent * frames - (first ? per_latent - 1 : 0), height * scale, width * scale, kColors});

  const Arena::Scope scope(context.arena);
  const std::size_t bytes =
      static_cast<std::size_t>(largest(frames, height, width)) * size_of(dtype_);
  Buffers buffers = {context.arena.allocate(bytes), context.arena.allocate(bytes), dtype_,
                     context.device};
  TensorView x = buffers.in_current({frames, height, width, conv_in_.out});
  {
    const Arena::Scope input(context.arena);
    const TensorView staged = conv_in_.stage(cache, latents.shape(), dtype_, context);
    post_quant_.apply(pixel_rows(latents),
                      pixel_rows(staged.slice(0, conv_in_.remembered(), frames)), context);
    conv_in_.apply(cache, staged, x, context);
  }
  mid_.apply(cache, x, buffers.in_other(x.shape()), context);
  for (const auto& block : up_blocks_) {
    context.check_cancelled();
    for (const auto& resnet : block.resnets) {
      const TensorView out = buffers.in_other({x.size(0), x.size(1), x.size(2), resnet.conv1.out});
      resnet.apply(cache, x, out, context);
      std::swap(buffers.current, buffers.other);
      x = out;
    }
    if (block.upsamples) x = upsample(block, cache, x, first, buffers, context);
  }
  const TensorView staged = conv_out_.stage(cache, x.shape(), dtype_, context);
  channel_norm(x, norm_out_, true, staged.slice(0, conv_out_.remembered(), x.size(0)), context);
  conv_out_.apply(cache, staged, result, context);
  return result;
}

}  // namespace sparsevid
