// A video file or a folder of PNG frames, written frame by frame; it appears whole or not at all.
#pragma once

#include <filesystem>
#include <memory>

#include "io/video_encoder.h"

namespace sparsevid {

/// Format by the name, see video_format_of. Frames go to a name beside the target, which finish()
/// renames onto it; without finish() nothing is left. A folder that exists keeps its other files,
/// its old frame_*.png are replaced.
class VideoWriter {
 public:
  /// Throws Error(bad_input) as check_video_path does, and for sizes or settings the format cannot
  /// hold; Error(io) when the file cannot be created.
  VideoWriter(const std::filesystem::path& path, const VideoSettings& settings);
  ~VideoWriter();
  VideoWriter(const VideoWriter&) = delete;
  VideoWriter& operator=(const VideoWriter&) = delete;

  /// rgb: [height, width, 3], 8 bit, rows `stride` bytes apart. Throws Error(io), after which only
  /// destruction is left.
  void write_frame(const std::uint8_t* rgb, std::ptrdiff_t stride);
  /// Throws Error(bad_input) when no frame was written, Error(io) when completing fails.
  void finish();

 private:
  std::filesystem::path path_;
  VideoSettings settings_;
  std::unique_ptr<class AtomicFile> output_;
  std::unique_ptr<VideoEncoder> encoder_;  // null: PNG frames
  std::int64_t frames_ = 0;

  void finish_folder();
};

}  // namespace sparsevid
