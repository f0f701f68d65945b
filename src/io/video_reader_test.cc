// What is not a video, or no longer a whole one.
#include "io/video_reader.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "io/video_test_clip.h"
#include "io/video_writer.h"
#include "testing/expect_error.h"
#include "testing/temporary_folder.h"

namespace sparsevid {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

void write_clip(const fs::path& path, int frames) {
  VideoSettings settings;
  settings.width = 96;
  settings.height = 64;
  settings.threads = 1;
  VideoWriter writer(path, settings);
  for (int i = 0; i < frames; ++i) {
    const Image frame = test_frame(96, 64, i);
    writer.write_frame(frame.rgb.data(), frame.stride());
  }
  writer.finish();
}

TEST(VideoReader, WhatIsNoVideoIsNamed) {
  const TemporaryFolder folder;
  std::ofstream(folder.path() / "text.mp4") << "this is no video at all";
  std::ofstream(folder.path() / "empty.mp4");
  fs::create_directory(folder.path() / "empty");
  for (const char* name : {"text.mp4", "empty.mp4", "empty", "missing.mp4"}) {
    const fs::path path = folder.path() / name;
    EXPECT_THAT(error_of(ErrorKind::bad_file, [&] { VideoReader reader(path); }), HasSubstr(name));
    error_of(ErrorKind::bad_file, [&] { read_video_metadata(path); });
  }
}

TEST(VideoReader, ATruncatedMp4IsAnErrorAndNotAShorterVideo) {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "clip.mp4";
  write_clip(path, 30);
  fs::resize_file(path, fs::file_size(path) * 3 / 4);
  const std::string message = error_of(ErrorKind::bad_file, [&] {
    VideoReader reader(path);
    for (Image frame; reader.next(frame);) {
    }
  });
  EXPECT_THAT(message, HasSubstr("clip.mp4"));
}

TEST(VideoReader, FramesOfAFolderComeInTheOrderOfTheirNumbers) {
  const TemporaryFolder folder;
  for (const int index : {2, 10, 1, 9}) {
    const auto level = static_cast<std::uint8_t>(index * 20);
    write_png(folder.path() / fmt::format("f{}.png", index), flat_image(8, 8, level, level, level));
  }
  std::ofstream(folder.path() / "notes.txt") << "not a frame";
  VideoReader reader(folder.path());
  EXPECT_EQ(reader.frame_count(), 4);
  EXPECT_EQ(reader.fps(), 0);
  std::vector<int> levels;
  for (Image frame; reader.next(frame);) levels.push_back(frame.rgb[0]);
  EXPECT_EQ(levels, (std::vector<int>{20, 40, 180, 200}));
}

TEST(VideoReader, AFrameOfAnotherSizeIsNamed) {
  const TemporaryFolder folder;
  write_png(folder.path() / "a1.png", flat_image(8, 8, 0, 0, 0));
  write_png(folder.path() / "a2.png", flat_image(8, 6, 0, 0, 0));
  VideoReader reader(folder.path());
  Image frame;
  EXPECT_TRUE(reader.next(frame));
  EXPECT_THAT(error_of(ErrorKind::bad_file, [&] { reader.next(frame); }), HasSubstr("a2.png"));
}

TEST(VideoReader, NamesThatLookLikeAddressesOrPatternsAreJustFiles) {
  const TemporaryFolder folder;
  for (const char* name : {"http:x%03d.mp4", "concat:a|b.mp4", "-y.mp4", "ä 狐.mp4"}) {
    write_clip(folder.path() / name, 2);
    EXPECT_EQ(VideoReader(folder.path() / name).frame_count(), 2) << name;
  }
}

}  // namespace
}  // namespace sparsevid
