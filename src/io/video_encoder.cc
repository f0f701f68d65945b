// Encoding through libav: the codec's settings, the container, and the errors of both.
#include "io/video_encoder.h"

#include <cmath>
#include <fstream>
#include <string>
#include <utility>

#include "base/error.h"
#include "io/image_palette.h"
#include "io/video_av.h"
#include "io/video_metadata.h"

namespace sparsevid {

namespace {

namespace fs = std::filesystem;

struct Recipe {
  const char* muxer;
  const char* encoder;
  AVPixelFormat pixel_format;
  int default_crf;  // -1: the encoder knows none
  int max_crf;
};

Recipe recipe_of(VideoFormat format) {
  switch (format) {
    case VideoFormat::mp4:
      return {"mp4", "libx264", AV_PIX_FMT_YUV420P, 16, 51};
    case VideoFormat::webm:
      return {"webm", "libvpx-vp9", AV_PIX_FMT_YUV420P, 20, 63};
    case VideoFormat::gif:
      return {"gif", "gif", AV_PIX_FMT_PAL8, -1, -1};
    case VideoFormat::png_folder:
      break;
  }
  return {nullptr, "png", AV_PIX_FMT_RGB24, -1, -1};
}

// Owns an AVDictionary while calls that take and replace it run.
class Options {
 public:
  ~Options() { av_dict_free(&dictionary_); }
  void set(const char* key, const std::string& value) {
    av_dict_set(&dictionary_, key, value.c_str(), 0);
  }
  AVDictionary** address() { return &dictionary_; }

 private:
  AVDictionary* dictionary_ = nullptr;
};

struct OutputDeleter {
  void operator()(AVFormatContext* context) const {
    avio_closep(&context->pb);
    avformat_free_context(context);
  }
};

void check_settings(const fs::path& shown, const Recipe& recipe, const VideoSettings& settings) {
  const bool halves_chroma = recipe.pixel_format == AV_PIX_FMT_YUV420P;
  require(settings.width > 0 && settings.height > 0, ErrorKind::bad_input,
          "{}: expected a size above 0, found {} x {}", shown.string(), settings.width,
          settings.height);
  require(!halves_chroma || (settings.width % 2 == 0 && settings.height % 2 == 0),
          ErrorKind::bad_input, "{}: {} needs an even width and height, found {} x {}",
          shown.string(), recipe.muxer, settings.width, settings.height);
  require(std::isfinite(settings.fps) && settings.fps > 0 && settings.fps <= 1000,
          ErrorKind::bad_input, "{}: expected frames per second above 0 and up to 1000, found {}",
          shown.string(), settings.fps);
  require(!settings.crf || recipe.max_crf < 0 ||
              (*settings.crf >= 0 && *settings.crf <= recipe.max_crf),
          ErrorKind::bad_input, "{}: expected a crf of 0 to {}, found {}", shown.string(),
          recipe.max_crf, settings.crf.value_or(0));
}

}  // namespace

const char* encoder_name(VideoFormat format) { return recipe_of(format).encoder; }

bool has_encoder(VideoFormat format) {
  return avcodec_find_encoder_by_name(encoder_name(format)) != nullptr;
}

struct VideoEncoder::Impl {
  Impl(fs::path file_name, fs::path shown_name, VideoFormat video_format,
       const VideoSettings& video_settings)
      : file(std::move(file_name)),
        shown(std::move(shown_name)),
        format(video_format),
        settings(video_settings),
        recipe(recipe_of(video_format)) {}
  // libav's GIF muxer frees the packet it holds back only when the trailer is written.
  ~Impl() {
    if (trailer_due && format == VideoFormat::gif) av_write_trailer(output.get());
  }

  fs::path file;
  fs::path shown;
  VideoFormat format;
  VideoSettings settings;
  Recipe recipe;
  std::unique_ptr<AVFormatContext, OutputDeleter> output;
  AvCodec codec;
  AVStream* stream = nullptr;
  AvPacket packet = new_av_packet();
  std::unique_ptr<RgbToYuv> to_yuv;
  std::int64_t frames = 0;
  bool trailer_due = false;

  void check(int code, const char* what) const {
    require(code >= 0, ErrorKind::io, "{}: {}: {}", shown.string(), what, av_error_text(code));
  }

  void open_codec();
  void open_file();
  void add_metadata();
  void send(const AVFrame* frame);
  void append_gif_comment() const;
};

void VideoEncoder::Impl::open_codec() {
  const AVCodec* encoder = avcodec_find_encoder_by_name(recipe.encoder);
  require(encoder != nullptr, ErrorKind::bad_input, "{}: this build of FFmpeg has no encoder {}",
          shown.string(), recipe.encoder);
  codec.reset(avcodec_alloc_context3(encoder));
  codec->width = settings.width;
  codec->height = settings.height;
  codec->pix_fmt = recipe.pixel_format;
  codec->framerate = av_d2q(settings.fps, 1'001'000);
  codec->time_base = av_inv_q(codec->framerate);
  codec->sample_aspect_ratio = {1, 1};
  codec->thread_count = settings.threads;
  if ((output->oformat->flags & AVFMT_GLOBALHEADER) != 0)
    codec->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
  Options options;
  if (recipe.max_crf >= 0)
    options.set("crf", std::to_string(settings.crf.value_or(recipe.default_crf)));
  if (recipe.pixel_format == AV_PIX_FMT_YUV420P) {
    codec->color_primaries = AVCOL_PRI_BT709;
    codec->color_trc = AVCOL_TRC_BT709;
    codec->colorspace = AVCOL_SPC_BT709;
    codec->color_range = AVCOL_RANGE_MPEG;
    codec->chroma_sample_location = AVCHROMA_LOC_LEFT;
  }
  if (format == VideoFormat::webm) {
    // Constant quality needs the bit rate at 0; the rest trades 2 % of size for half the time.
    options.set("b", "0");
    options.set("deadline", "good");
    options.set("cpu-used", "2");
    options.set("row-mt", "1");
  }
  check(avcodec_open2(codec.get(), encoder, options.address()), "the encoder refused its settings");
}

void VideoEncoder::Impl::add_metadata() {
  if (settings.metadata.empty()) return;
  AVDictionary** tags = &output->metadata;
  for (const auto& [key, value] : settings.metadata)
    if (!key.empty()) av_dict_set(tags, key.c_str(), value.c_str(), 0);
  if (const auto prompt = settings.metadata.find("prompt"); prompt != settings.metadata.end())
    av_dict_set(tags, "title", prompt->second.c_str(), 0);
  av_dict_set(tags, "comment", metadata_to_comment(settings.metadata).c_str(), 0);
}

void VideoEncoder::Impl::open_file() {
  stream = avformat_new_stream(output.get(), nullptr);
  require(stream != nullptr, ErrorKind::out_of_memory, "{}: no memory for a stream",
          shown.string());
  check(avcodec_parameters_from_context(stream->codecpar, codec.get()), "stream parameters");
  stream->time_base = codec->time_base;
  stream->avg_frame_rate = codec->framerate;
  add_metadata();
  check(avio_open(&output->pb, output->url, AVIO_FLAG_WRITE), "cannot create the file");
  Options options;
  if (format == VideoFormat::mp4) options.set("movflags", "+faststart+use_metadata_tags");
  check(avformat_write_header(output.get(), options.address()), "cannot write the header");
  trailer_due = true;
}

void VideoEncoder::Impl::send(const AVFrame* frame) {
  check(avcodec_send_frame(codec.get(), frame), "cannot encode a frame");
  for (;;) {
    const int code = avcodec_receive_packet(codec.get(), packet.get());
    if (code == AVERROR(EAGAIN) || code == AVERROR_EOF) return;
    check(code, "cannot encode a frame");
    packet->stream_index = stream->index;
    if (packet->duration == 0) packet->duration = 1;
    av_packet_rescale_ts(packet.get(), codec->time_base, stream->time_base);
    check(av_interleaved_write_frame(output.get(), packet.get()), "cannot write");
    check(output->pb->error, "cannot write");
  }
}

// GIF89a section 24: blocks of at most 255 bytes, before the trailer. libav reads but never writes
// it.
void VideoEncoder::Impl::append_gif_comment() const {
  if (settings.metadata.empty()) return;
  const std::string text = metadata_to_comment(settings.metadata);
  std::string blocks = "\x21\xfe";
  for (std::size_t begin = 0; begin < text.size(); begin += 255) {
    const std::string block = text.substr(begin, 255);
    blocks += static_cast<char>(block.size());
    blocks += block;
  }
  blocks += std::string("\0\x3b", 2);
  std::fstream gif(file, std::ios::binary | std::ios::in | std::ios::out);
  gif.seekp(-1, std::ios::end);
  gif.write(blocks.data(), static_cast<std::streamsize>(blocks.size()));
  gif.close();
  require(gif.good(), ErrorKind::io, "{}: cannot write the comment: no space left", shown.string());
}

VideoEncoder::VideoEncoder(const fs::path& file, const fs::path& shown, VideoFormat format,
                           const VideoSettings& settings)
    : impl_(std::make_unique<Impl>(file, shown, format, settings)) {
  silence_av_log();
  check_settings(shown, impl_->recipe, settings);
  AVFormatContext* output = nullptr;
  const int code =
      avformat_alloc_output_context2(&output, nullptr, impl_->recipe.muxer, av_url(file).c_str());
  impl_->output.reset(output);
  impl_->check(code, "cannot open the container");
  impl_->open_codec();
  impl_->open_file();
  if (impl_->recipe.pixel_format == AV_PIX_FMT_YUV420P)
    impl_->to_yuv = std::make_unique<RgbToYuv>(settings.width, settings.height);
}

VideoEncoder::~VideoEncoder() = default;

void VideoEncoder::encode(const std::uint8_t* rgb, std::ptrdiff_t stride) {
  const int width = impl_->settings.width;
  const int height = impl_->settings.height;
  // A new one each time: the encoder keeps references to those it was given.
  const AvFrame frame = new_av_frame(impl_->recipe.pixel_format, width, height);
  if (impl_->to_yuv != nullptr) {
    impl_->to_yuv->convert(rgb, stride, *frame);
  } else {
    Palette palette;
    quantize_to_palette(rgb, stride, width, height, palette, frame->data[0], frame->linesize[0]);
    std::copy(palette.begin(), palette.end(), reinterpret_cast<std::uint32_t*>(frame->data[1]));
  }
  frame->pts = impl_->frames++;
  impl_->send(frame.get());
}

void VideoEncoder::finish() {
  impl_->send(nullptr);
  impl_->trailer_due = false;
  impl_->check(av_write_trailer(impl_->output.get()), "cannot complete the file");
  impl_->check(impl_->output->pb->error, "cannot complete the file");
  impl_->check(avio_closep(&impl_->output->pb), "cannot complete the file");
  if (impl_->format == VideoFormat::gif) impl_->append_gif_comment();
}

}  // namespace sparsevid
