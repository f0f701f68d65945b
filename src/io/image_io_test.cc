// Pictures out and in.
#include "io/image_io.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "io/video_av.h"
#include "io/video_test_clip.h"
#include "testing/expect_error.h"
#include "testing/temporary_folder.h"

namespace sparsevid {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

// Encodes one frame of an 8-bit format with all channels of a pixel taken from `levels`.
void write_with_libav(const fs::path& path, AVCodecID id, AVPixelFormat format,
                      std::initializer_list<int> levels) {
  const AVCodec* encoder = avcodec_find_encoder(id);
  ASSERT_NE(encoder, nullptr);
  const AvCodec codec(avcodec_alloc_context3(encoder));
  codec->width = codec->height = 32;
  codec->pix_fmt = format;
  codec->time_base = {1, 1};
  codec->strict_std_compliance = FF_COMPLIANCE_UNOFFICIAL;
  ASSERT_GE(avcodec_open2(codec.get(), encoder, nullptr), 0);
  const AvFrame frame = new_av_frame(format, 32, 32);
  for (int y = 0; y < 32; ++y)
    for (int x = 0; x < 32; ++x)
      std::copy(levels.begin(), levels.end(),
                frame->data[0] + y * frame->linesize[0] + x * levels.size());
  for (int plane = 1; plane < 3 && frame->data[plane] != nullptr; ++plane)
    std::fill_n(frame->data[plane], 16 * frame->linesize[plane], 128);
  const AvPacket packet = new_av_packet();
  ASSERT_GE(avcodec_send_frame(codec.get(), frame.get()), 0);
  ASSERT_GE(avcodec_receive_packet(codec.get(), packet.get()), 0);
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(packet->data), packet->size);
}

TEST(ImageIo, PngComesBackUnchangedAtAnySize) {
  const TemporaryFolder folder;
  const int sizes[][2] = {{1, 1}, {3, 5}, {17, 1}, {33, 64}, {320, 321}};
  for (const auto& size : sizes) {
    const Image image = test_frame(size[0], size[1], 3);
    write_png(folder.path() / "a.png", image);
    EXPECT_EQ(largest_difference(read_image(folder.path() / "a.png"), image), 0)
        << size[0] << " x " << size[1];
  }
}

TEST(ImageIo, PngKeepsItsMetadata) {
  const TemporaryFolder folder;
  const Metadata metadata{{"prompt", "狐 läuft"}, {"seed", "7"}};
  const Image image = test_frame(20, 20, 0);
  write_png(folder.path() / "a.png", image, metadata);
  Metadata back;
  EXPECT_EQ(largest_difference(read_image(folder.path() / "a.png", &back), image), 0);
  EXPECT_EQ(back, metadata);
  write_png(folder.path() / "b.png", image);
  read_image(folder.path() / "b.png", &back);
  EXPECT_TRUE(back.empty());
}

TEST(ImageIo, GreyAndAlphaBecomeRgb) {
  const TemporaryFolder folder;
  write_with_libav(folder.path() / "grey.png", AV_CODEC_ID_PNG, AV_PIX_FMT_GRAY8, {200});
  EXPECT_EQ(
      largest_difference(read_image(folder.path() / "grey.png"), flat_image(32, 32, 200, 200, 200)),
      0);
  write_with_libav(folder.path() / "alpha.png", AV_CODEC_ID_PNG, AV_PIX_FMT_RGBA, {10, 20, 30, 0});
  EXPECT_EQ(
      largest_difference(read_image(folder.path() / "alpha.png"), flat_image(32, 32, 10, 20, 30)),
      0);
}

TEST(ImageIo, JpegAndBmpAreReadInFullRange) {
  const TemporaryFolder folder;
  write_with_libav(folder.path() / "a.jpg", AV_CODEC_ID_MJPEG, AV_PIX_FMT_YUVJ420P, {250});
  // A flat block costs JPEG only the rounding of one coefficient.
  EXPECT_LE(
      largest_difference(read_image(folder.path() / "a.jpg"), flat_image(32, 32, 250, 250, 250)),
      2);
  write_with_libav(folder.path() / "a.bmp", AV_CODEC_ID_BMP, AV_PIX_FMT_BGR24, {1, 2, 3});
  EXPECT_EQ(largest_difference(read_image(folder.path() / "a.bmp"), flat_image(32, 32, 3, 2, 1)),
            0);
}

TEST(ImageIo, BrokenPicturesAreErrorsThatNameTheFile) {
  const TemporaryFolder folder;
  write_png(folder.path() / "whole.png", test_frame(64, 64, 0));
  write_with_libav(folder.path() / "whole.jpg", AV_CODEC_ID_MJPEG, AV_PIX_FMT_YUVJ420P, {90});
  const auto cut = [&](const char* from, const char* to, std::uintmax_t size) {
    fs::copy_file(folder.path() / from, folder.path() / to);
    fs::resize_file(folder.path() / to, size);
  };
  cut("whole.png", "half.png", fs::file_size(folder.path() / "whole.png") / 2);
  cut("whole.png", "header.png", 33);
  cut("whole.png", "empty.png", 0);
  cut("whole.jpg", "half.jpg", fs::file_size(folder.path() / "whole.jpg") - 40);
  std::ofstream(folder.path() / "text.png") << "a text that is long enough";
  fs::copy_file(folder.path() / "whole.png", folder.path() / "flipped.png");
  {
    std::fstream file(folder.path() / "flipped.png",
                      std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(200);
    file.put('\x5a');
    file.put('\xa5');
  }
  for (const char* name : {"half.png", "header.png", "empty.png", "text.png", "flipped.png",
                           "missing.png", "half.jpg", ""})
    EXPECT_THAT(error_of(ErrorKind::bad_file, [&] { read_image(folder.path() / name); }),
                HasSubstr(name));
}

TEST(ImageIo, AMissingFolderIsRefused) {
  const TemporaryFolder folder;
  error_of(ErrorKind::bad_input,
           [&] { write_png(folder.path() / "missing" / "a.png", test_frame(8, 8, 0)); });
}

}  // namespace
}  // namespace sparsevid
