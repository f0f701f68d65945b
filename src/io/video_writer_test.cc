// Video files: written, read back, refused, and interrupted.
#include "io/video_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <vector>

#include "io/video_av.h"
#include "io/video_reader.h"
#include "io/video_test_clip.h"
#include "testing/expect_error.h"
#include "testing/temporary_folder.h"

namespace sparsevid {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr int kWidth = 160;
constexpr int kHeight = 96;
constexpr int kFrames = 17;

VideoSettings clip_settings() {
  VideoSettings settings;
  settings.width = kWidth;
  settings.height = kHeight;
  settings.threads = 1;
  return settings;
}

void write_clip(const fs::path& path, const VideoSettings& settings, int frames = kFrames) {
  VideoWriter writer(path, settings);
  for (int i = 0; i < frames; ++i) {
    const Image frame = test_frame(settings.width, settings.height, i);
    writer.write_frame(frame.rgb.data(), frame.stride());
  }
  writer.finish();
}

std::vector<Image> read_all(const fs::path& path) {
  VideoReader reader(path);
  std::vector<Image> frames;
  for (Image frame; reader.next(frame);) frames.push_back(frame);
  return frames;
}

double worst_psnr(const std::vector<Image>& frames) {
  double worst = 1e9;
  for (std::size_t i = 0; i < frames.size(); ++i)
    worst = std::min(worst, test_psnr(frames[i], test_frame(frames[i].width, frames[i].height,
                                                            static_cast<int>(i))));
  return worst;
}

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder))
    names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

// What a player sees of the first stream.
struct StreamFacts {
  AVCodecID codec;
  int format, primaries, transfer, matrix, range, profile;
};

StreamFacts facts_of(const fs::path& path) {
  AVFormatContext* input = nullptr;
  EXPECT_GE(avformat_open_input(&input, path.c_str(), nullptr, nullptr), 0);
  EXPECT_GE(avformat_find_stream_info(input, nullptr), 0);
  const AVCodecParameters& p = *input->streams[0]->codecpar;
  const StreamFacts facts{p.codec_id,    p.format,      p.color_primaries, p.color_trc,
                          p.color_space, p.color_range, p.profile};
  avformat_close_input(&input);
  return facts;
}

TEST(VideoWriter, Mp4IsH264In420WithBt709TagsAndItsIndexInFront) {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "clip.mp4";
  write_clip(path, clip_settings());
  const StreamFacts facts = facts_of(path);
  EXPECT_EQ(facts.codec, AV_CODEC_ID_H264);
  EXPECT_EQ(facts.format, AV_PIX_FMT_YUV420P);
  EXPECT_EQ(facts.profile, FF_PROFILE_H264_HIGH);
  EXPECT_EQ(facts.primaries, AVCOL_PRI_BT709);
  EXPECT_EQ(facts.transfer, AVCOL_TRC_BT709);
  EXPECT_EQ(facts.matrix, AVCOL_SPC_BT709);
  EXPECT_EQ(facts.range, AVCOL_RANGE_MPEG);
  std::ifstream file(path, std::ios::binary);
  const std::string bytes(std::istreambuf_iterator<char>(file), {});
  EXPECT_LT(bytes.find("moov"), bytes.find("mdat"));
  EXPECT_NE(bytes.find("avc1"), std::string::npos);
}

TEST(VideoWriter, Mp4ComesBackAboveThirtyEightDecibels) {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "clip.mp4";
  write_clip(path, clip_settings());
  VideoReader reader(path);
  EXPECT_EQ(reader.width(), kWidth);
  EXPECT_EQ(reader.height(), kHeight);
  EXPECT_DOUBLE_EQ(reader.fps(), 16);
  EXPECT_EQ(reader.frame_count(), kFrames);
  const std::vector<Image> frames = read_all(path);
  ASSERT_EQ(frames.size(), static_cast<std::size_t>(kFrames));
  // The clip is smooth, so the codec at crf 16 is the limit; 4:2:0 alone leaves about 48 dB of it.
  EXPECT_GT(worst_psnr(frames), 38);
}

TEST(VideoWriter, AHigherCrfMakesASmallerFile) {
  const TemporaryFolder folder;
  VideoSettings settings = clip_settings();
  write_clip(folder.path() / "fine.mp4", settings);
  settings.crf = 36;
  write_clip(folder.path() / "coarse.mp4", settings);
  EXPECT_LT(fs::file_size(folder.path() / "coarse.mp4"), fs::file_size(folder.path() / "fine.mp4"));
}

TEST(VideoWriter, FlatColoursComeBackWithinThreeLevelsWithoutLoss) {
  // Limited range has 219 luma and 224 chroma steps for 256 levels; half a step of each goes
  // through the inverse BT.709 matrix: .5 * 255 / 219 + .5 * 255 / 224 * 1.86 = 1.6, then rounding.
  const TemporaryFolder folder;
  const int colours[][3] = {{255, 0, 0}, {0, 255, 0},     {0, 0, 255},   {255, 255, 255},
                            {0, 0, 0},   {128, 128, 128}, {200, 80, 30}, {30, 120, 210}};
  VideoSettings settings = clip_settings();
  settings.crf = 0;
  {
    VideoWriter writer(folder.path() / "flat.mp4", settings);
    for (const auto& c : colours) {
      const Image frame = flat_image(kWidth, kHeight, c[0], c[1], c[2]);
      writer.write_frame(frame.rgb.data(), frame.stride());
    }
    writer.finish();
  }
  const std::vector<Image> frames = read_all(folder.path() / "flat.mp4");
  ASSERT_EQ(frames.size(), std::size(colours));
  for (std::size_t i = 0; i < frames.size(); ++i) {
    const auto& c = colours[i];
    EXPECT_LE(largest_difference(frames[i], flat_image(kWidth, kHeight, c[0], c[1], c[2])), 3)
        << "colour " << i;
  }
}

TEST(VideoWriter, RedIsStoredAsBt709LimitedRange) {
  // ITU-R BT.709: Y = 16 + 219 * .2126 = 62.6, Cb = 128 - 224 * .2126 / 1.8556 = 102.3, Cr = 240.
  RgbToYuv convert(32, 32);
  const Image red = flat_image(32, 32, 255, 0, 0);
  const AvFrame yuv = new_av_frame(AV_PIX_FMT_YUV420P, 32, 32);
  convert.convert(red.rgb.data(), red.stride(), *yuv);
  EXPECT_NEAR(yuv->data[0][0], 62.6, 1);
  EXPECT_NEAR(yuv->data[1][0], 102.3, 1);
  EXPECT_NEAR(yuv->data[2][0], 240, 1);
}

TEST(VideoWriter, ChromaSitsOnTheLeftPixelOfItsPair) {
  // A ramp of blue by 4 a pixel moves Cb by 4 * 112 / 255 = 1.757 a pixel. Centred chroma would be
  // half a pixel, .88, too high everywhere; rounding to whole levels averages out.
  Image ramp = flat_image(64, 32, 0, 0, 0);
  for (int y = 0; y < 32; ++y)
    for (int x = 0; x < 64; ++x) ramp.row(y)[3 * x + 2] = static_cast<std::uint8_t>(4 * x);
  RgbToYuv convert(64, 32);
  const AvFrame yuv = new_av_frame(AV_PIX_FMT_YUV420P, 64, 32);
  convert.convert(ramp.rgb.data(), ramp.stride(), *yuv);
  double excess = 0;
  for (int k = 4; k < 28; ++k)
    excess += yuv->data[1][8 * yuv->linesize[1] + k] - (128 + 1.757 * 2 * k);
  EXPECT_NEAR(excess / 24, 0, 0.25);

  Image back;
  yuv->colorspace = AVCOL_SPC_BT709;
  yuv->color_range = AVCOL_RANGE_MPEG;
  yuv->chroma_location = AVCHROMA_LOC_LEFT;
  FrameToRgb().convert(*yuv, back);
  excess = 0;
  for (int x = 8; x < 56; ++x) excess += back.row(16)[3 * x + 2] - 4 * x;
  EXPECT_NEAR(excess / 48, 0, 0.6);  // half a pixel would be 2
}

TEST(VideoWriter, WebmIsVp9AndComesBack) {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "clip.webm";
  VideoSettings settings = clip_settings();
  settings.fps = 24;
  write_clip(path, settings);
  EXPECT_EQ(facts_of(path).codec, AV_CODEC_ID_VP9);
  EXPECT_EQ(facts_of(path).format, AV_PIX_FMT_YUV420P);
  EXPECT_EQ(facts_of(path).matrix, AVCOL_SPC_BT709);
  VideoReader reader(path);
  EXPECT_NEAR(reader.fps(), 24, 0.1);  // Matroska keeps whole milliseconds
  EXPECT_EQ(reader.frame_count(), kFrames);
  const std::vector<Image> frames = read_all(path);
  ASSERT_EQ(frames.size(), static_cast<std::size_t>(kFrames));
  EXPECT_GT(worst_psnr(frames), 36);
}

TEST(VideoWriter, GifComesBackInAPaletteOfItsOwnForEachFrame) {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "clip.gif";
  write_clip(path, clip_settings());
  VideoReader reader(path);
  EXPECT_EQ(reader.frame_count(), kFrames);
  EXPECT_NEAR(reader.fps(), 16, 0.5);  // GIF counts hundredths of a second: 6, 7, 6, 6 ...
  const std::vector<Image> frames = read_all(path);
  ASSERT_EQ(frames.size(), static_cast<std::size_t>(kFrames));
  // 256 colours for a surface in the colour cube are some 6 levels apart a side; dither adds to it.
  EXPECT_GT(worst_psnr(frames), 28);
}

TEST(VideoWriter, AFolderHoldsNumberedPngFramesWithoutLoss) {
  const TemporaryFolder folder;
  for (const char* name : {"frames", "slash/", "dotted.v2/"}) {
    const fs::path path = folder.path() / name;
    if (std::string(name) == "dotted.v2/") fs::create_directory(path);
    write_clip(path, clip_settings(), 3);
    EXPECT_THAT(names_in(path),
                ::testing::ElementsAre("frame_0000.png", "frame_0001.png", "frame_0002.png"));
    const std::vector<Image> frames = read_all(path);
    ASSERT_EQ(frames.size(), 3u);
    EXPECT_EQ(largest_difference(frames[2], test_frame(kWidth, kHeight, 2)), 0);
  }
}

TEST(VideoWriter, AnExistingFolderKeepsItsOtherFilesAndLosesOldFrames) {
  const TemporaryFolder folder;
  write_clip(folder.path(), clip_settings(), 4);
  std::ofstream(folder.path() / "frame_notes.png") << "mine";
  fs::create_directory(folder.path() / "frames");
  write_clip(folder.path(), clip_settings(), 2);
  EXPECT_THAT(names_in(folder.path()), ::testing::ElementsAre("frame_0000.png", "frame_0001.png",
                                                              "frame_notes.png", "frames"));
}

TEST(VideoWriter, OddSizesAreFineWithoutChromaAndRefusedWithIt) {
  const TemporaryFolder folder;
  VideoSettings settings = clip_settings();
  settings.width = 33;
  settings.height = 17;
  write_clip(folder.path() / "odd.gif", settings, 2);
  write_clip(folder.path() / "odd", settings, 2);
  EXPECT_EQ(largest_difference(read_all(folder.path() / "odd")[1], test_frame(33, 17, 1)), 0);
  const std::string message =
      error_of(ErrorKind::bad_input, [&] { VideoWriter(folder.path() / "odd.mp4", settings); });
  EXPECT_THAT(message, HasSubstr("33 x 17"));
}

TEST(VideoWriter, FramesWithAStrideAreReadByIt) {
  const TemporaryFolder folder;
  const Image wide = test_frame(64, 32, 0);
  VideoSettings settings = clip_settings();
  settings.width = 48;
  settings.height = 32;
  VideoWriter writer(folder.path() / "crop", settings);
  writer.write_frame(wide.rgb.data(), wide.stride());
  writer.finish();
  const Image back = read_all(folder.path() / "crop")[0];
  for (int y = 0; y < 32; ++y)
    EXPECT_TRUE(std::equal(back.row(y), back.row(y) + 48 * 3, wide.row(y)));
}

TEST(VideoWriter, MetadataComesBackFromEveryFormat) {
  const TemporaryFolder folder;
  VideoSettings settings = clip_settings();
  settings.metadata = {
      {"prompt", "eine Füchsin läuft – 狐が走る 🦊 \"zitiert\"\nzweite Zeile"},
      {"seed", "42"},
      {"settings", R"({"attention": "semantic-tail", "density": 0.15})"},
      {"long", std::string(2000, 'x')}};
  for (const char* name : {"clip.mp4", "clip.webm", "clip.gif", "frames"}) {
    write_clip(folder.path() / name, settings, 3);
    EXPECT_EQ(read_video_metadata(folder.path() / name), settings.metadata) << name;
    EXPECT_EQ(read_all(folder.path() / name).size(), 3u) << name;
  }
}

TEST(VideoWriter, Mp4CarriesEachKeyAndATitleForOtherPrograms) {
  const TemporaryFolder folder;
  VideoSettings settings = clip_settings();
  settings.metadata = {{"prompt", "狐"}, {"seed", "42"}};
  write_clip(folder.path() / "clip.mp4", settings, 2);
  AVFormatContext* input = nullptr;
  ASSERT_GE(avformat_open_input(&input, (folder.path() / "clip.mp4").c_str(), nullptr, nullptr), 0);
  for (const auto& [key, value] : Metadata{{"title", "狐"}, {"prompt", "狐"}, {"seed", "42"}}) {
    const AVDictionaryEntry* entry = av_dict_get(input->metadata, key.c_str(), nullptr, 0);
    ASSERT_NE(entry, nullptr) << key;
    EXPECT_EQ(entry->value, value);
  }
  avformat_close_input(&input);
}

TEST(VideoWriter, AnInterruptedWriteLeavesNothing) {
  const TemporaryFolder folder;
  for (const char* name : {"clip.mp4", "clip.webm", "clip.gif", "frames"}) {
    VideoWriter writer(folder.path() / name, clip_settings());
    const Image frame = test_frame(kWidth, kHeight, 0);
    for (int i = 0; i < 5; ++i) writer.write_frame(frame.rgb.data(), frame.stride());
    EXPECT_FALSE(fs::exists(folder.path() / name));
  }
  EXPECT_THAT(names_in(folder.path()), ::testing::IsEmpty());
}

TEST(VideoWriter, AnInterruptedWriteKeepsTheFileThatWasThere) {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "clip.mp4";
  write_clip(path, clip_settings(), 3);
  const auto size = fs::file_size(path);
  {
    VideoWriter writer(path, clip_settings());
    const Image frame = test_frame(kWidth, kHeight, 0);
    writer.write_frame(frame.rgb.data(), frame.stride());
  }
  EXPECT_EQ(fs::file_size(path), size);
  EXPECT_EQ(names_in(folder.path()).size(), 1u);
}

TEST(VideoWriter, OneFrameIsAVideoInEveryFormat) {
  const TemporaryFolder folder;
  for (const char* name : {"clip.mp4", "clip.webm", "clip.gif", "frames"}) {
    write_clip(folder.path() / name, clip_settings(), 1);
    EXPECT_EQ(VideoReader(folder.path() / name).frame_count(), 1) << name;
    EXPECT_EQ(read_all(folder.path() / name).size(), 1u) << name;
  }
}

TEST(VideoWriter, AVideoOfNoFramesIsRefused) {
  const TemporaryFolder folder;
  VideoWriter writer(folder.path() / "clip.mp4", clip_settings());
  error_of(ErrorKind::bad_input, [&] { writer.finish(); });
}

TEST(VideoWriter, BadSettingsAreRefusedWithTheRange) {
  const TemporaryFolder folder;
  const auto message_for = [&](auto change, const char* name) {
    VideoSettings settings = clip_settings();
    change(settings);
    return error_of(ErrorKind::bad_input, [&] { VideoWriter(folder.path() / name, settings); });
  };
  EXPECT_THAT(message_for([](VideoSettings& s) { s.crf = 52; }, "a.mp4"), HasSubstr("0 to 51"));
  EXPECT_THAT(message_for([](VideoSettings& s) { s.crf = -1; }, "a.webm"), HasSubstr("0 to 63"));
  EXPECT_THAT(message_for([](VideoSettings& s) { s.fps = 0; }, "a.mp4"), HasSubstr("found 0"));
  EXPECT_THAT(message_for([](VideoSettings& s) { s.width = 0; }, "a"), HasSubstr("0 x 96"));
  EXPECT_THAT(names_in(folder.path()), ::testing::IsEmpty());
}

// Mounts a file system of 128 KiB, where the rights allow it.
class SmallDisk : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::create_directory(disk_);
    mounted_ = ::mount("tmpfs", disk_.c_str(), "tmpfs", 0, "size=128k") == 0;
    if (!mounted_) GTEST_SKIP() << "mounting a small file system needs root";
  }
  void TearDown() override {
    if (mounted_) ::umount(disk_.c_str());
  }
  TemporaryFolder folder_;
  fs::path disk_ = folder_.path() / "disk";
  bool mounted_ = false;
};

TEST_F(SmallDisk, AFullDiskIsAnErrorThatLeavesNothing) {
  VideoSettings settings = clip_settings();
  settings.width = 640;
  settings.height = 480;
  settings.crf = 0;
  for (const char* name : {"clip.mp4", "clip.webm", "clip.gif", "frames"}) {
    if (std::string(name) == "clip.gif") settings.crf.reset();
    const std::string message = error_of(ErrorKind::io, [&] {
      VideoWriter writer(disk_ / name, settings);
      Image noise(settings.width, settings.height);
      std::uint32_t state = 1;
      for (int i = 0; i < 4; ++i) {
        for (std::uint8_t& value : noise.rgb) {
          state = state * 1664525u + 1013904223u;
          value = static_cast<std::uint8_t>(state >> 24);
        }
        writer.write_frame(noise.rgb.data(), noise.stride());
      }
      writer.finish();
    });
    EXPECT_THAT(message, HasSubstr(name));
    EXPECT_THAT(message,
                ::testing::AnyOf(HasSubstr("o space left"), HasSubstr("free on the disk")));
    EXPECT_THAT(names_in(disk_), ::testing::IsEmpty()) << name;
  }
}

}  // namespace
}  // namespace sparsevid
