#include "pipeline/latents_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "testing/compare.h"
#include "testing/expect_error.h"
#include "testing/random_tensor.h"
#include "testing/temporary_folder.h"

namespace sparsevid {
namespace {

TEST(LatentsFile, ComesBackBitForBitWithItsSettings) {
  const TemporaryFolder folder;
  const Tensor latents = random_tensor({16, 2, 4, 6}, 1);
  write_latents(folder / "x.safetensors", latents, {{"prompt", "a \"fox\"\n"}, {"fps", "16"}});
  const LatentsFile file = read_latents(folder / "x.safetensors", 16);
  EXPECT_TRUE(bit_equal(file.latents, latents));
  EXPECT_EQ(file.metadata, (Metadata{{"prompt", "a \"fox\"\n"}, {"fps", "16"}}));
}

TEST(LatentsFile, OtherChannelsAreRefused) {
  const TemporaryFolder folder;
  write_latents(folder / "x.safetensors", random_tensor({16, 2, 4, 6}, 1), {});
  EXPECT_THAT(
      error_of(ErrorKind::bad_file, [&] { read_latents(folder / "x.safetensors", 48); }),
      ::testing::AllOf(::testing::HasSubstr("[48, frames"), ::testing::HasSubstr("[16, 2, 4, 6]")));
}

TEST(LatentsFile, ValuesThatAreNotFiniteAreRefused) {
  const TemporaryFolder folder;
  const Tensor latents = random_tensor({16, 1, 2, 2}, 1);
  latents->as<float>()[5] = std::numeric_limits<float>::quiet_NaN();
  write_latents(folder / "x.safetensors", latents, {});
  EXPECT_THAT(error_of(ErrorKind::bad_file, [&] { read_latents(folder / "x.safetensors", 16); }),
              ::testing::HasSubstr("at 5"));
}

TEST(LatentsFile, StandsBesideTheOutput) {
  EXPECT_EQ(latents_path_for("a/clip.mp4"), "a/clip.latents.safetensors");
  EXPECT_EQ(latents_path_for("frames/"), "frames.latents.safetensors");
}

}  // namespace
}  // namespace sparsevid
