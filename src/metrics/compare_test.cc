// Comparing whole videos.
#include "metrics/compare.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "io/video_test_clip.h"
#include "io/video_writer.h"
#include "metrics/psnr.h"
#include "testing/expect_error.h"
#include "testing/temporary_folder.h"

namespace sparsevid {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

// Frames of one grey level each.
void write_greys(const fs::path& path, const std::vector<int>& levels, int width = 32) {
  VideoSettings settings;
  settings.width = width;
  settings.height = 16;
  VideoWriter writer(path, settings);
  for (const int level : levels) {
    const auto grey = static_cast<std::uint8_t>(level);
    const Image frame = flat_image(width, 16, grey, grey, grey);
    writer.write_frame(frame.rgb.data(), frame.stride());
  }
  writer.finish();
}

TEST(Compare, GivesEachFrameAndTheMeans) {
  const TemporaryFolder folder;
  write_greys(folder.path() / "a", {50, 60, 70, 80});
  write_greys(folder.path() / "b", {50, 61, 74, 82});
  const VideoComparison result = compare_videos(folder.path() / "a", folder.path() / "b");
  ASSERT_EQ(result.frames.size(), 4u);
  EXPECT_TRUE(std::isinf(result.frames[0].psnr));
  EXPECT_DOUBLE_EQ(result.frames[1].psnr, psnr_of_mse(1));
  EXPECT_DOUBLE_EQ(result.frames[2].psnr, psnr_of_mse(16));
  EXPECT_EQ(result.identical_frames, 1);
  EXPECT_EQ(result.worst_frame, 2);
  EXPECT_DOUBLE_EQ(result.worst_psnr(), psnr_of_mse(16));
  EXPECT_DOUBLE_EQ(result.mean_psnr, (psnr_of_mse(1) + psnr_of_mse(16) + psnr_of_mse(4)) / 3);
  EXPECT_DOUBLE_EQ(result.overall_psnr, psnr_of_mse((0 + 1 + 16 + 4) / 4.0));
  EXPECT_NEAR(result.frames[0].ssim, 1, 1e-6);
  EXPECT_LT(result.mean_ssim, 1);
}

TEST(Compare, IdenticalVideosAreInfiniteInTextAndNullInJson) {
  const TemporaryFolder folder;
  write_greys(folder.path() / "a", {50, 60});
  const VideoComparison result = compare_videos(folder.path() / "a", folder.path() / "a", 2);
  EXPECT_EQ(result.identical_frames, 2);
  EXPECT_EQ(psnr_text(result.mean_psnr), "inf");
  EXPECT_EQ(psnr_text(result.overall_psnr), "inf");
  const nlohmann::json json = nlohmann::json::parse(to_json(result));
  EXPECT_EQ(json["frames"], 2);
  EXPECT_TRUE(json["mean_psnr"].is_null());
  EXPECT_TRUE(json["psnr"][1].is_null());
  EXPECT_NEAR(json["ssim"][1].get<double>(), 1, 1e-6);
}

TEST(Compare, AVideoIsCloseToItsSource) {
  const TemporaryFolder folder;
  for (const char* name : {"a.mp4", "b"}) {
    VideoSettings settings;
    settings.width = 96;
    settings.height = 64;
    VideoWriter writer(folder.path() / name, settings);
    for (int i = 0; i < 9; ++i) {
      const Image frame = test_frame(96, 64, i);
      writer.write_frame(frame.rgb.data(), frame.stride());
    }
    writer.finish();
  }
  const VideoComparison result = compare_videos(folder.path() / "a.mp4", folder.path() / "b");
  EXPECT_GT(result.worst_psnr(), 38);
  EXPECT_GT(result.mean_ssim, 0.98);
  const nlohmann::json json = nlohmann::json::parse(to_json(result));
  EXPECT_DOUBLE_EQ(json["mean_psnr"].get<double>(), result.mean_psnr);
}

TEST(Compare, DifferentSizesOrCountsNameBoth) {
  const TemporaryFolder folder;
  write_greys(folder.path() / "a.mp4", {1, 2, 3});
  write_greys(folder.path() / "longer", {1, 2, 3, 4, 5});
  write_greys(folder.path() / "wider", {1, 2, 3}, 48);
  const auto message = [&](const char* a, const char* b) {
    return error_of(ErrorKind::bad_input,
                    [&] { compare_videos(folder.path() / a, folder.path() / b); });
  };
  EXPECT_THAT(message("a.mp4", "wider"), HasSubstr("32 x 16"));
  EXPECT_THAT(message("a.mp4", "wider"), HasSubstr("48 x 16"));
  EXPECT_THAT(message("a.mp4", "longer"), HasSubstr("a.mp4 has 3 frames"));
  EXPECT_THAT(message("longer", "a.mp4"), HasSubstr("longer has 5"));
}

}  // namespace
}  // namespace sparsevid
