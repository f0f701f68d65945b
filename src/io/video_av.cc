// libav's objects and colour conversions, with our errors.
#include "io/video_av.h"

#include <mutex>

#include "base/error.h"

extern "C" {
#include <libavutil/imgutils.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
}

namespace sparsevid {

namespace {

// The same result on every CPU, and chroma interpolated instead of repeated.
constexpr int kScalerFlags =
    SWS_BICUBIC | SWS_ACCURATE_RND | SWS_BITEXACT | SWS_FULL_CHR_H_INT | SWS_FULL_CHR_H_INP;
constexpr int kFixedPointOne = 1 << 16;

std::string pixel_format_name(AVPixelFormat format) {
  const char* name = av_get_pix_fmt_name(format);
  return name != nullptr ? name : "an unknown pixel format";
}

void set_colours(SwsContext* scaler, int matrix, bool source_full, bool target_full) {
  const int* table = sws_getCoefficients(matrix);
  sws_setColorspaceDetails(scaler, table, source_full ? 1 : 0, table, target_full ? 1 : 0, 0,
                           kFixedPointOne, kFixedPointOne);
}

struct ChromaPosition {
  int across, down;  // of the first chroma sample, in 1/256 of a luma pixel
};

// H.264 and VP9 mean "left" when they state nothing.
ChromaPosition position_of(AVChromaLocation location) {
  switch (location) {
    case AVCHROMA_LOC_CENTER:
      return {128, 128};
    case AVCHROMA_LOC_TOPLEFT:
      return {0, 0};
    case AVCHROMA_LOC_TOP:
      return {128, 0};
    case AVCHROMA_LOC_BOTTOMLEFT:
      return {0, 256};
    case AVCHROMA_LOC_BOTTOM:
      return {128, 256};
    default:
      return {0, 128};
  }
}

// swscale takes chroma for centred unless told otherwise, and options only before it is set up.
void set_chroma_position(SwsContext* scaler, const char* side, AVPixelFormat format,
                         ChromaPosition position) {
  const AVPixFmtDescriptor* description = av_pix_fmt_desc_get(format);
  if (description == nullptr || (description->flags & AV_PIX_FMT_FLAG_RGB) != 0) return;
  const std::string name(side);
  if (description->log2_chroma_w == 1)
    av_opt_set_int(scaler, (name + "_h_chr_pos").c_str(), position.across, 0);
  if (description->log2_chroma_h == 1)
    av_opt_set_int(scaler, (name + "_v_chr_pos").c_str(), position.down, 0);
}

// Same size, other format; `chroma` of whichever side has less of it than luma.
AvScaler new_scaler(int width, int height, AVPixelFormat from, AVPixelFormat to,
                    AVChromaLocation chroma) {
  AvScaler scaler(sws_alloc_context());
  require(scaler != nullptr, ErrorKind::out_of_memory, "no memory for a colour conversion");
  av_opt_set_int(scaler.get(), "srcw", width, 0);
  av_opt_set_int(scaler.get(), "srch", height, 0);
  av_opt_set_int(scaler.get(), "dstw", width, 0);
  av_opt_set_int(scaler.get(), "dsth", height, 0);
  av_opt_set_int(scaler.get(), "src_format", from, 0);
  av_opt_set_int(scaler.get(), "dst_format", to, 0);
  av_opt_set_int(scaler.get(), "sws_flags", kScalerFlags, 0);
  set_chroma_position(scaler.get(), "src", from, position_of(chroma));
  set_chroma_position(scaler.get(), "dst", to, position_of(chroma));
  const int code = sws_init_context(scaler.get(), nullptr, nullptr);
  require(code >= 0, ErrorKind::bad_file, "no conversion from {} to {} at {} x {}: {}",
          pixel_format_name(from), pixel_format_name(to), width, height, av_error_text(code));
  return scaler;
}

void scale(SwsContext* scaler, const AVFrame& from, AVFrame& to) {
  const int rows =
      sws_scale(scaler, from.data, from.linesize, 0, from.height, to.data, to.linesize);
  require(rows == to.height, ErrorKind::internal, "colour conversion made {} of {} rows", rows,
          to.height);
}

int matrix_of(const AVFrame& frame) {
  switch (frame.colorspace) {
    case AVCOL_SPC_BT709:
      return SWS_CS_ITU709;
    case AVCOL_SPC_FCC:
      return SWS_CS_FCC;
    case AVCOL_SPC_BT470BG:
    case AVCOL_SPC_SMPTE170M:
      return SWS_CS_ITU601;
    case AVCOL_SPC_SMPTE240M:
      return SWS_CS_SMPTE240M;
    case AVCOL_SPC_BT2020_NCL:
    case AVCOL_SPC_BT2020_CL:
      return SWS_CS_BT2020;
    default:
      return frame.height >= 720 ? SWS_CS_ITU709 : SWS_CS_ITU601;
  }
}

bool is_full_range(const AVFrame& frame) {
  if (frame.color_range == AVCOL_RANGE_JPEG) return true;
  const AVPixFmtDescriptor* format = av_pix_fmt_desc_get(static_cast<AVPixelFormat>(frame.format));
  if (format == nullptr) return false;
  const bool grey = format->nb_components < 3 && (format->flags & AV_PIX_FMT_FLAG_PAL) == 0;
  return grey || std::string(format->name).starts_with("yuvj");
}

}  // namespace

void silence_av_log() {
  static std::once_flag once;
  std::call_once(once, [] { av_log_set_level(AV_LOG_QUIET); });
}

std::string av_error_text(int code) {
  char text[AV_ERROR_MAX_STRING_SIZE] = {};
  av_strerror(code, text, sizeof text);
  return text;
}

std::string av_url(const std::filesystem::path& path) { return "file:" + path.string(); }

AvFrame new_av_frame() {
  AvFrame frame(av_frame_alloc());
  require(frame != nullptr, ErrorKind::out_of_memory, "no memory for a video frame");
  return frame;
}

AvPacket new_av_packet() {
  AvPacket packet(av_packet_alloc());
  require(packet != nullptr, ErrorKind::out_of_memory, "no memory for a video packet");
  return packet;
}

AvFrame new_av_frame(int format, int width, int height) {
  AvFrame frame = new_av_frame();
  frame->format = format;
  frame->width = width;
  frame->height = height;
  const int code = av_frame_get_buffer(frame.get(), 0);
  require(code >= 0, ErrorKind::out_of_memory, "no memory for a frame of {} x {}: {}", width,
          height, av_error_text(code));
  return frame;
}

RgbToYuv::RgbToYuv(int width, int height)
    : rgb_(new_av_frame(AV_PIX_FMT_RGB24, width, height)),
      scaler_(new_scaler(width, height, AV_PIX_FMT_RGB24, AV_PIX_FMT_YUV420P, AVCHROMA_LOC_LEFT)) {
  set_colours(scaler_.get(), SWS_CS_ITU709, true, false);
}

void RgbToYuv::convert(const std::uint8_t* rgb, std::ptrdiff_t stride, AVFrame& yuv) {
  // swscale's vector code reads past the end of a row, so it gets rows with room behind them.
  av_image_copy_plane(rgb_->data[0], rgb_->linesize[0], rgb, static_cast<int>(stride),
                      rgb_->width * 3, rgb_->height);
  scale(scaler_.get(), *rgb_, yuv);
}

void FrameToRgb::convert(const AVFrame& frame, Image& image) {
  if (image.width != frame.width || image.height != frame.height)
    image = Image(frame.width, frame.height);
  const AVFrame* rgb = &frame;
  if (frame.format != AV_PIX_FMT_RGB24) {
    const Source source{frame.width,      frame.height,         frame.format,
                        matrix_of(frame), is_full_range(frame), frame.chroma_location};
    if (scaler_ == nullptr || source != source_) {
      scaler_ = new_scaler(source.width, source.height, static_cast<AVPixelFormat>(source.format),
                           AV_PIX_FMT_RGB24, source.chroma);
      set_colours(scaler_.get(), source.matrix, source.full_range, true);
      rgb_ = new_av_frame(AV_PIX_FMT_RGB24, source.width, source.height);
      source_ = source;
    }
    scale(scaler_.get(), frame, *rgb_);
    rgb = rgb_.get();
  }
  av_image_copy_plane(image.rgb.data(), static_cast<int>(image.stride()), rgb->data[0],
                      rgb->linesize[0], static_cast<int>(image.stride()), image.height);
}

}  // namespace sparsevid
