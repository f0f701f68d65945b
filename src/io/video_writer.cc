// Video output under a temporary name, and the PNG folder.
#include "io/video_writer.h"

#include <algorithm>
#include <cctype>
#include <string>
#include <vector>

#include "base/error.h"
#include "io/atomic_file.h"

namespace sparsevid {

namespace {

namespace fs = std::filesystem;

bool is_frame_name(const std::string& name) {
  if (!name.starts_with("frame_") || !name.ends_with(".png") || name.size() < 11) return false;
  return std::all_of(name.begin() + 6, name.end() - 4,
                     [](unsigned char c) { return std::isdigit(c) != 0; });
}

}  // namespace

VideoWriter::VideoWriter(const fs::path& path, const VideoSettings& settings)
    : path_(without_trailing_slash(path)), settings_(settings) {
  check_video_path(path);
  const VideoFormat format = video_format_of(path);
  const bool into_folder = format == VideoFormat::png_folder && is_folder(path_);
  // A folder that is there already gets its frames by way of a temporary folder inside it.
  output_ = std::make_unique<AtomicFile>(into_folder ? path_ / frame_name(0) : path_);
  if (format != VideoFormat::png_folder) {
    encoder_ = std::make_unique<VideoEncoder>(output_->temporary(), path_, format, settings);
    return;
  }
  require(settings.width > 0 && settings.height > 0, ErrorKind::bad_input,
          "{}: expected a size above 0, found {} x {}", path_.string(), settings.width,
          settings.height);
  std::error_code error;
  fs::create_directory(output_->temporary(), error);
  require(!error, ErrorKind::io, "{}: cannot create the folder: {}", path_.string(),
          error.message());
}

// The encoder closes its file before the file is removed.
VideoWriter::~VideoWriter() { encoder_.reset(); }

void VideoWriter::write_frame(const std::uint8_t* rgb, std::ptrdiff_t stride) {
  if (encoder_ != nullptr)
    encoder_->encode(rgb, stride);
  else
    write_png(output_->temporary() / frame_name(frames_), rgb, settings_.width, settings_.height,
              stride, settings_.metadata);
  ++frames_;
}

void VideoWriter::finish() {
  require(frames_ > 0, ErrorKind::bad_input, "{}: a video of no frames", path_.string());
  if (encoder_ == nullptr) return finish_folder();
  encoder_->finish();
  output_->commit();
}

void VideoWriter::finish_folder() {
  if (!is_folder(path_)) return output_->commit();
  try {
    std::vector<fs::path> old;
    for (const auto& entry : fs::directory_iterator(path_))
      if (is_frame_name(entry.path().filename().string())) old.push_back(entry.path());
    for (const fs::path& frame : old) fs::remove(frame);
    for (std::int64_t i = 0; i < frames_; ++i)
      fs::rename(output_->temporary() / frame_name(i), path_ / frame_name(i));
  } catch (const fs::filesystem_error& error) {
    fail(ErrorKind::io, "{}: cannot put the frames in place: {}", path_.string(),
         error.code().message());
  }
}

}  // namespace sparsevid
