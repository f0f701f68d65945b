// PNG out and pictures in, through libav's encoders and decoders on whole files in memory.
#include "io/image_io.h"

#include <fstream>
#include <span>
#include <string_view>

#include "base/error.h"
#include "io/atomic_file.h"
#include "io/video_av.h"
#include "io/video_metadata.h"

extern "C" {
#include <libavutil/crc.h>
#include <libavutil/imgutils.h>
}

namespace sparsevid {

namespace {

constexpr std::size_t kPngHeaderBytes = 8 + 25;  // signature and IHDR chunk
constexpr std::int64_t kMaxPixels = std::int64_t{1} << 28;

std::string big_endian(std::uint32_t value) {
  std::string bytes(4, '\0');
  for (int i = 0; i < 4; ++i) bytes[i] = static_cast<char>(value >> (24 - 8 * i));
  return bytes;
}

// PNG specification 11.3.4.3: keyword, NUL, text. libav reads this chunk but cannot write it.
std::string png_comment_chunk(const Metadata& metadata) {
  std::string body = "tEXtComment";
  body += '\0';
  body += metadata_to_comment(metadata);
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(body.data());
  const std::uint32_t crc =
      ~av_crc(av_crc_get_table(AV_CRC_32_IEEE_LE), 0xffffffffu, bytes, body.size());
  std::string chunk = big_endian(static_cast<std::uint32_t>(body.size() - 4));
  chunk += body;
  chunk += big_endian(crc);
  return chunk;
}

AvPacket encode_png(const std::filesystem::path& path, const std::uint8_t* rgb, int width,
                    int height, std::ptrdiff_t stride) {
  const AVCodec* encoder = avcodec_find_encoder(AV_CODEC_ID_PNG);
  require(encoder != nullptr, ErrorKind::io, "{}: this build of FFmpeg has no PNG encoder",
          path.string());
  const AvCodec codec(avcodec_alloc_context3(encoder));
  codec->width = width;
  codec->height = height;
  codec->pix_fmt = AV_PIX_FMT_RGB24;
  codec->time_base = {1, 1};
  codec->thread_count = 1;
  AVDictionary* options = nullptr;
  av_dict_set(&options, "pred", "mixed", 0);
  int code = avcodec_open2(codec.get(), encoder, &options);
  av_dict_free(&options);
  const AvFrame frame = new_av_frame(AV_PIX_FMT_RGB24, width, height);
  av_image_copy_plane(frame->data[0], frame->linesize[0], rgb, static_cast<int>(stride), width * 3,
                      height);
  AvPacket packet = new_av_packet();
  if (code >= 0) code = avcodec_send_frame(codec.get(), frame.get());
  if (code >= 0) code = avcodec_receive_packet(codec.get(), packet.get());
  require(code >= 0, ErrorKind::io, "{}: cannot encode {} x {} pixels as PNG: {}", path.string(),
          width, height, av_error_text(code));
  return packet;
}

AVCodecID picture_format(std::span<const std::uint8_t> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.starts_with("\x89PNG\r\n\x1a\n")) return AV_CODEC_ID_PNG;
  if (text.starts_with("\xff\xd8\xff")) return AV_CODEC_ID_MJPEG;
  if (text.starts_with("RIFF") && text.substr(8).starts_with("WEBP")) return AV_CODEC_ID_WEBP;
  if (text.starts_with("BM")) return AV_CODEC_ID_BMP;
  return AV_CODEC_ID_NONE;
}

AvPacket read_packet(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::error_code error;
  require(file.good() && std::filesystem::is_regular_file(path, error), ErrorKind::bad_file,
          "{}: no such picture, or not readable", path.string());
  const auto size = static_cast<std::int64_t>(std::filesystem::file_size(path));
  require(size > 12 && size < std::int64_t{1} << 30, ErrorKind::bad_file,
          "{}: {} bytes is no picture", path.string(), size);
  AvPacket packet = new_av_packet();
  require(av_new_packet(packet.get(), static_cast<int>(size)) >= 0, ErrorKind::out_of_memory,
          "{}: no memory for {} bytes", path.string(), size);
  file.read(reinterpret_cast<char*>(packet->data), size);
  require(file.gcount() == size, ErrorKind::io, "{}: read {} of {} bytes", path.string(),
          file.gcount(), size);
  return packet;
}

}  // namespace

void write_png(const std::filesystem::path& path, const std::uint8_t* rgb, int width, int height,
               std::ptrdiff_t stride, const Metadata& metadata) {
  silence_av_log();
  const AvPacket packet = encode_png(path, rgb, width, height, stride);
  const std::string comment = metadata.empty() ? "" : png_comment_chunk(metadata);
  const std::string_view png(reinterpret_cast<const char*>(packet->data), packet->size);
  write_file(path, {png.substr(0, kPngHeaderBytes), comment, png.substr(kPngHeaderBytes)});
}

void write_png(const std::filesystem::path& path, const Image& image, const Metadata& metadata) {
  write_png(path, image.rgb.data(), image.width, image.height, image.stride(), metadata);
}

Image read_image(const std::filesystem::path& path, Metadata* metadata) {
  silence_av_log();
  const AvPacket packet = read_packet(path);
  const AVCodecID format = picture_format({packet->data, static_cast<std::size_t>(packet->size)});
  const AVCodec* decoder = avcodec_find_decoder(format);
  require(decoder != nullptr, ErrorKind::bad_file,
          "{}: expected a PNG, JPEG, WebP or BMP picture, found none of them", path.string());
  const AvCodec codec(avcodec_alloc_context3(decoder));
  codec->err_recognition = AV_EF_CRCCHECK | AV_EF_EXPLODE;
  codec->max_pixels = kMaxPixels;
  codec->thread_count = 1;
  const AvFrame frame = new_av_frame();
  int code = avcodec_open2(codec.get(), decoder, nullptr);
  if (code >= 0) code = avcodec_send_packet(codec.get(), packet.get());
  if (code >= 0) code = avcodec_send_packet(codec.get(), nullptr);
  if (code >= 0) code = avcodec_receive_frame(codec.get(), frame.get());
  require(code >= 0, ErrorKind::bad_file, "{}: broken {} picture: {}", path.string(),
          avcodec_get_name(format), av_error_text(code));
  require(frame->decode_error_flags == 0 && (frame->flags & AV_FRAME_FLAG_CORRUPT) == 0,
          ErrorKind::bad_file, "{}: broken {} picture: parts are missing", path.string(),
          avcodec_get_name(format));
  if (metadata != nullptr) {
    const AVDictionaryEntry* comment = av_dict_get(frame->metadata, "Comment", nullptr, 0);
    *metadata = comment != nullptr ? metadata_from_comment(comment->value) : Metadata();
  }
  Image image;
  FrameToRgb().convert(*frame, image);
  return image;
}

}  // namespace sparsevid
