// Owners for libav's C objects, its error texts, and the two colour conversions we use it for.
// Only for the .cc files of this folder.
#pragma once

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libswscale/swscale.h>
}

#include <filesystem>
#include <memory>
#include <string>

#include "io/image_io.h"

namespace sparsevid {

struct AvDeleter {
  void operator()(AVFrame* frame) const { av_frame_free(&frame); }
  void operator()(AVPacket* packet) const { av_packet_free(&packet); }
  void operator()(AVCodecContext* codec) const { avcodec_free_context(&codec); }
  void operator()(SwsContext* scaler) const { sws_freeContext(scaler); }
};
using AvFrame = std::unique_ptr<AVFrame, AvDeleter>;
using AvPacket = std::unique_ptr<AVPacket, AvDeleter>;
using AvCodec = std::unique_ptr<AVCodecContext, AvDeleter>;
using AvScaler = std::unique_ptr<SwsContext, AvDeleter>;

/// Keeps libav's own lines off stderr from now on; what went wrong is in our exceptions.
void silence_av_log();

/// libav's words for a negative return value.
std::string av_error_text(int code);

/// The address libav opens for a local file, whatever characters its name holds.
std::string av_url(const std::filesystem::path& path);

AvFrame new_av_frame();
AvPacket new_av_packet();

/// A frame with its own buffers. `format` is an AVPixelFormat.
AvFrame new_av_frame(int format, int width, int height);

/// Converts 8-bit RGB to BT.709 limited-range yuv420p, chroma on the left as H.264 has it.
class RgbToYuv {
 public:
  RgbToYuv(int width, int height);
  void convert(const std::uint8_t* rgb, std::ptrdiff_t stride, AVFrame& yuv);

 private:
  AvFrame rgb_;
  AvScaler scaler_;
};

/// Converts any decoded frame to 8-bit RGB by the matrix, range and chroma position that the frame
/// states; without a matrix it is taken for BT.709 from 720 rows up, BT.601 below.
class FrameToRgb {
 public:
  void convert(const AVFrame& frame, Image& image);

 private:
  struct Source {
    int width, height, format, matrix;
    bool full_range;
    AVChromaLocation chroma;
    bool operator==(const Source&) const = default;
  };
  Source source_{};
  AvScaler scaler_;
  AvFrame rgb_;
};

}  // namespace sparsevid
