#include "models/vae/wan_vae.h"

#include "base/error.h"
#include "ops/copy.h"

namespace sparsevid {
namespace {

// [channels, frames, height, width] seen as [frames, height, width, channels].
TensorView channels_last(const TensorView& latents) {
  return latents.transpose(0, 1).transpose(1, 2).transpose(2, 3);
}

}  // namespace

WanVae::WanVae(const WanVaeConfig& config, std::shared_ptr<const Checkpoint> checkpoint,
               DType dtype, ops::F32Products products, Context& context)
    : config_(config), dtype_(dtype), device_(context.device), checkpoint_(std::move(checkpoint)) {
  nn::WeightTable table(dtype);
  decoder_.declare(table, config, products);
  encoder_.declare(table, config);
  weights_ = table.load(*checkpoint_, context);
  decoder_.finish(context);
  encoder_.finish(context);
}

nn::WeightMismatch WanVae::check(const WanVaeConfig& config, const Checkpoint& checkpoint) {
  WanVaeDecoder decoder;
  WanVaeEncoder encoder;
  nn::WeightTable table(DType::f32);
  decoder.declare(table, config, ops::F32Products::exact);
  encoder.declare(table, config);
  return table.compare(checkpoint);
}

MemoryNeed WanVae::memory(const WanVaeConfig& config, DType dtype, ops::F32Products products,
                          Device device, const Shape& latents) {
  WanVaeDecoder decoder;
  WanVaeEncoder encoder;
  nn::WeightTable table(dtype);
  decoder.declare(table, config, products);
  // Convolutions keep a packed copy of each weight they have used; a clip is only decoded.
  const bool on_gpu = device == Device::cuda;
  const std::size_t packed = on_gpu ? decoder.packed_bytes() : table.bytes();
  encoder.declare(table, config);
  return {on_gpu ? table.bytes_on(device).resident : table.bytes(),
          decoder.workspace_bytes(latents[2], latents[3], device),
          packed + decoder.remembered_bytes(latents[2], latents[3])};
}

std::array<int, 3> WanVae::compression() const {
  const int space = config_.spatial_compression();
  return {config_.temporal_compression(), space, space};
}

std::size_t WanVae::decode_workspace_bytes(const Shape& latents) const {
  return decoder_.workspace_bytes(latents[2], latents[3], device_);
}

void WanVae::decode(const TensorView& latents, const FrameSink& sink, Context& context) {
  require(latents.rank() == 4 && latents.size(0) == config_.z_dim, ErrorKind::bad_input,
          "latents: expected [{}, frames, height, width], found {}", config_.z_dim,
          latents.shape().str());
  FrameCache cache;
  for (std::int64_t frame = 0; frame < latents.size(1); ++frame) {
    context.check_cancelled();
    const Arena::Scope scope(context.arena);
    const TensorView source = channels_last(latents.slice(1, frame, 1));
    const TensorView chunk = context.arena.tensor(dtype_, source.shape());
    ops::copy({.x = source, .out = chunk}, context);
    TensorView frames = decoder_.decode_chunk(cache, chunk, frame == 0, context);
    if (dtype_ != DType::f32) {
      const TensorView widened = context.arena.tensor(DType::f32, frames.shape());
      ops::copy({.x = frames, .out = widened}, context);
      frames = widened;
    }
    sink(frames);
  }
}

Tensor WanVae::encode(const TensorView& frames, Context& context) {
  const int step = config_.temporal_compression();
  const int scale = config_.spatial_compression();
  require(frames.rank() == 4 && frames.size(3) == 3 && frames.size(0) % step == 1 % step &&
              frames.size(1) % scale == 0 && frames.size(2) % scale == 0,
          ErrorKind::bad_input,
          "frames: expected [{}k+1, height, width, 3] with sizes that {} divides, found {}", step,
          scale, frames.shape().str());
  const std::int64_t count = (frames.size(0) - 1) / step + 1;
  Tensor latents(DType::f32, {config_.z_dim, count, frames.size(1) / scale, frames.size(2) / scale},
                 context.device);
  FrameCache cache;
  for (std::int64_t i = 0; i < count; ++i) {
    context.check_cancelled();
    const Arena::Scope scope(context.arena);
    const TensorView chunk =
        i == 0 ? frames.slice(0, 0, 1) : frames.slice(0, 1 + (i - 1) * step, step);
    const TensorView encoded = encoder_.encode_chunk(cache, chunk, i == 0, context);
    ops::copy({.x = encoded, .out = channels_last(latents.view().slice(1, i, 1))}, context);
  }
  return latents;
}

}  // namespace sparsevid
