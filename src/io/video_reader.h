// Frames of any video that libav can decode, or of a folder of PNG files, as 8-bit RGB.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>

#include "io/image_io.h"

namespace sparsevid {

class VideoReader {
 public:
  /// Throws Error(bad_file) when `path` is missing, holds no video, or is a folder without *.png.
  explicit VideoReader(const std::filesystem::path& path);
  ~VideoReader();
  VideoReader(const VideoReader&) = delete;
  VideoReader& operator=(const VideoReader&) = delete;

  int width() const;   // pixels
  int height() const;  // pixels
  double fps() const;  // frames a second; 0 for a folder
  /// From the container's index, or by counting its packets.
  std::int64_t frame_count() const;

  /// The next frame, in order of display (of a folder: of the numbers in the names); false at the
  /// end. Throws Error(bad_file) when the stream is broken or its size changes.
  bool next(Image& frame);

  class Source;

 private:
  std::unique_ptr<Source> source_;
};

/// The metadata a VideoWriter stored; of a file by other software, the container's own tags.
/// Throws Error(bad_file) as VideoReader does. A PNG file counts as a video of one frame.
Metadata read_video_metadata(const std::filesystem::path& path);

}  // namespace sparsevid
