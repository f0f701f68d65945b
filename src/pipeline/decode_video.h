// Latents to a video file, a chunk of frames at a time.
#pragma once

#include <array>
#include <filesystem>

#include "io/image_io.h"
#include "models/vae.h"
#include "pipeline/progress.h"

namespace sparsevid {

/// Frames go from the decoder straight into the file; nothing is kept for the clip's length.
/// `size` is frames, height, width in pixels. Throws Error(internal) when a frame is not finite.
void decode_video(Vae& vae, const TensorView& latents, const std::array<int, 3>& size, double fps,
                  const Metadata& metadata, const std::filesystem::path& output,
                  ProgressReporter& progress, Context& context);

}  // namespace sparsevid
