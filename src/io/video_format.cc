// Output formats by file name.
#include "io/video_format.h"

#include <algorithm>
#include <cctype>
#include <string>

#include "base/error.h"
#include "io/atomic_file.h"
#include "io/video_encoder.h"

namespace sparsevid {

namespace fs = std::filesystem;

std::string frame_name(std::int64_t index) { return fmt::format("frame_{:04}.png", index); }

bool is_folder(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

VideoFormat video_format_of(const fs::path& path) {
  require(!path.empty(), ErrorKind::bad_input, "the name of the output video is empty");
  std::string extension = path.extension().string();
  if (extension.empty() || is_folder(path)) return VideoFormat::png_folder;
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (extension == ".mp4") return VideoFormat::mp4;
  if (extension == ".webm") return VideoFormat::webm;
  if (extension == ".gif") return VideoFormat::gif;
  fail(ErrorKind::bad_input,
       "{}: cannot write a video named *{}: expected .mp4, .webm, .gif, or a folder for PNG frames",
       path.string(), extension);
}

void check_video_path(const fs::path& path) {
  const VideoFormat format = video_format_of(path);
  const fs::path target = without_trailing_slash(path);
  std::error_code error;
  require(format != VideoFormat::png_folder || is_folder(target) || !fs::exists(target, error),
          ErrorKind::bad_input, "{}: expected a folder for PNG frames, found a file",
          path.string());
  check_output_path(is_folder(target) ? target / frame_name(0) : target);
  require(has_encoder(format), ErrorKind::bad_input,
          "{}: this build of FFmpeg has no encoder {}, which this format needs", path.string(),
          encoder_name(format));
}

}  // namespace sparsevid
