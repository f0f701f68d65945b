// One stream of RGB frames into one container file, through libav.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>

#include "io/image_io.h"
#include "io/video_format.h"

namespace sparsevid {

struct VideoSettings {
  int width = 0;  // pixels; even for mp4 and webm
  int height = 0;
  double fps = 16;
  /// Constant rate factor, lower is better and larger: mp4 0..51 (0 is lossless for the encoder,
  /// but browsers do not play it), webm 0..63. Default: 16 and 20. No meaning for gif and PNG.
  std::optional<int> crf;
  int threads = 0;  // of the encoder; 0: as many as there are cores
  /// Stored in the file, to be read by read_video_metadata. "prompt" also becomes the title.
  Metadata metadata;
};

/// The libav encoder of a format, "libx264" for mp4.
const char* encoder_name(VideoFormat format);
bool has_encoder(VideoFormat format);

/// Writes mp4, webm or gif straight to the given name; VideoWriter adds the care for unfinished
/// files. mp4: H.264 4:2:0, index in front; webm: VP9 4:2:0; both BT.709, limited range, and tagged
/// so. gif: a palette for each frame.
class VideoEncoder {
 public:
  /// `shown` names the file in errors. Throws Error(bad_input) for sizes, fps or crf the format
  /// cannot hold, Error(io) when the file cannot be created.
  VideoEncoder(const std::filesystem::path& file, const std::filesystem::path& shown,
               VideoFormat format, const VideoSettings& settings);
  ~VideoEncoder();
  VideoEncoder(const VideoEncoder&) = delete;
  VideoEncoder& operator=(const VideoEncoder&) = delete;

  /// rgb: [height, width, 3], rows `stride` bytes apart. Throws Error(io).
  void encode(const std::uint8_t* rgb, std::ptrdiff_t stride);
  /// Drains the encoder and completes the file. Throws Error(io).
  void finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sparsevid
