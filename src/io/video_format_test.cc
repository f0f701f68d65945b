// Formats by file name and the check before long work.
#include "io/video_format.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "testing/expect_error.h"
#include "testing/temporary_folder.h"

namespace sparsevid {
namespace {

using ::testing::HasSubstr;

TEST(VideoFormat, FollowsTheNameAndWhatIsThere) {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder.path() / "taken.mp4");
  EXPECT_EQ(video_format_of("a.mp4"), VideoFormat::mp4);
  EXPECT_EQ(video_format_of("a.b/c.MP4"), VideoFormat::mp4);
  EXPECT_EQ(video_format_of("a.webm"), VideoFormat::webm);
  EXPECT_EQ(video_format_of("a.gif"), VideoFormat::gif);
  EXPECT_EQ(video_format_of("a"), VideoFormat::png_folder);
  EXPECT_EQ(video_format_of("a.mp4/"), VideoFormat::png_folder);
  EXPECT_EQ(video_format_of(folder.path() / "taken.mp4"), VideoFormat::png_folder);
}

TEST(VideoFormat, AnUnknownExtensionIsRefusedWithTheKnownOnes) {
  const std::string message = error_of(ErrorKind::bad_input, [] { check_video_path("clip.avi"); });
  for (const char* part : {"clip.avi", ".mp4", ".webm", ".gif", "folder"})
    EXPECT_THAT(message, HasSubstr(part));
  error_of(ErrorKind::bad_input, [] { check_video_path(""); });
}

TEST(VideoFormat, AMissingFolderIsRefusedByItsName) {
  const TemporaryFolder folder;
  for (const char* name : {"missing/clip.mp4", "missing/frames", "missing/frames/"})
    EXPECT_THAT(error_of(ErrorKind::bad_input, [&] { check_video_path(folder.path() / name); }),
                HasSubstr("missing"));
}

TEST(VideoFormat, AFileInPlaceOfTheFolderIsRefused) {
  const TemporaryFolder folder;
  std::ofstream(folder.path() / "file") << "x";
  error_of(ErrorKind::bad_input, [&] { check_video_path(folder.path() / "file" / "clip.mp4"); });
  error_of(ErrorKind::bad_input, [&] { check_video_path(folder.path() / "file" / ""); });
  error_of(ErrorKind::bad_input, [&] { check_video_path(folder.path() / "file"); });
}

TEST(VideoFormat, GoodPathsPassAndNothingIsWritten) {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder.path() / "old");
  for (const char* name : {"clip.mp4", "clip.webm", "clip.gif", "frames", "frames/", "old", "old/"})
    EXPECT_NO_THROW(check_video_path(folder.path() / name)) << name;
  EXPECT_NO_THROW(check_video_path("in_the_current_folder.mp4"));
  int entries = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder.path()))
    ++entries;
  EXPECT_EQ(entries, 1);
}

}  // namespace
}  // namespace sparsevid
