#include "pipeline/decode_video.h"

#include "base/error.h"
#include "core/transfer.h"
#include "io/video_writer.h"
#include "ops/to_rgb8.h"
#include "pipeline/finite.h"

namespace sparsevid {
namespace {

/// `before` frames of `all` came earlier.
void check_finite(const TensorView& frames, int before, int all, Context& context) {
  if (all_finite_anywhere(frames, context)) return;
  std::int64_t first = 0;
  while (first + 1 < frames.size(0) && all_finite_anywhere(frames[first], context)) ++first;
  fail(ErrorKind::internal,
       "decoding frame {} of {}: its values are not finite; the decoder's weights may be damaged",
       before + first + 1, all);
}

}  // namespace

void decode_video(Vae& vae, const TensorView& latents, const std::array<int, 3>& size, double fps,
                  const Metadata& metadata, const std::filesystem::path& output,
                  ProgressReporter& progress, Context& context) {
  VideoSettings settings;
  settings.width = size[2];
  settings.height = size[1];
  settings.fps = fps;
  settings.threads = context.threads;
  settings.metadata = metadata;
  VideoWriter writer(output, settings);

  progress.begin(Stage::decoding, size[0]);
  int written = 0;
  vae.decode(
      latents,
      [&](const TensorView& frames) {
        require(frames.size(1) == size[1] && frames.size(2) == size[2], ErrorKind::internal,
                "decoder: expected frames of {} x {}, found {}", size[1], size[2],
                frames.shape().str());
        check_finite(frames, written, size[0], context);
        const Arena::Scope scope(context.arena);
        const TensorView rgb = context.arena.tensor(DType::u8, frames.shape());
        ops::to_rgb8({.x = frames, .out = rgb}, context);
        Tensor on_cpu;
        const TensorView pictures = view_on(Device::cpu, rgb, on_cpu, context);
        const Zone zone(context.profile, "encode");
        for (std::int64_t i = 0; i < pictures.size(0); ++i) {
          context.check_cancelled();
          writer.write_frame(pictures[i].as<std::uint8_t>(), pictures.stride(1));
        }
        written += static_cast<int>(rgb.size(0));
        progress.complete(written);
      },
      context);
  require(written == size[0], ErrorKind::internal, "decoder: expected {} frames, found {}", size[0],
          written);
  const Zone zone(context.profile, "encode");
  writer.finish();
}

}  // namespace sparsevid
