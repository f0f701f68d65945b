// Which kind of video output a path asks for, and whether it can be written.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace sparsevid {

enum class VideoFormat : std::uint8_t { mp4, webm, gif, png_folder };

/// By the name: .mp4, .webm, .gif; a folder of PNG frames when the name ends with a slash, has no
/// extension, or is a folder already. Throws Error(bad_input) for any other extension.
VideoFormat video_format_of(const std::filesystem::path& path);

/// Throws Error(bad_input) unless a VideoWriter could start on `path`: known format, the folder
/// around it exists and is writable, and this build of FFmpeg has the encoder. Call it before long
/// work; it writes nothing.
void check_video_path(const std::filesystem::path& path);

/// "frame_0007.png"
std::string frame_name(std::int64_t index);

/// Whether `path` is a folder; false as well when it may not be looked at.
bool is_folder(const std::filesystem::path& path);

}  // namespace sparsevid
