// Sampled latents on disk, with the settings that made them, so that decoding can be repeated.
#pragma once

#include <filesystem>

#include "core/tensor.h"
#include "io/image_io.h"

namespace sparsevid {

struct LatentsFile {
  Tensor latents;  ///< [channels, frames, height, width] f32
  Metadata metadata;
};

/// Written whole or not at all; throws Error(io).
void write_latents(const std::filesystem::path& path, const TensorView& latents,
                   const Metadata& metadata);

/// Throws Error(bad_file) unless the file holds finite latents of four axes, the first `channels`
/// long.
LatentsFile read_latents(const std::filesystem::path& path, int channels);

/// "clip.mp4" -> "clip.latents.safetensors"; the folder "frames/" -> "frames.latents.safetensors".
std::filesystem::path latents_path_for(const std::filesystem::path& output);

}  // namespace sparsevid
