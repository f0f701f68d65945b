#include "pipeline/output_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pipeline/fake_recipe.h"
#include "testing/compare.h"
#include "testing/expect_error.h"
#include "testing/random_tensor.h"
#include "testing/temporary_folder.h"

namespace sparsevid {
namespace {

class OutputFiles : public ::testing::Test {
 protected:
  OutputFiles() { options_.output = (folder_ / "clip.mp4").string(); }
  bool exists(const char* name) const { return std::filesystem::exists(folder_ / name); }

  FakeRecipe recipe_;
  TemporaryFolder folder_;
  GenerateOptions options_;
  Tensor latents_ = random_tensor({16, 1, 2, 2}, 1);
};

TEST_F(OutputFiles, AFolderThatIsNotThereIsFoundBeforeTheWork) {
  options_.report = (folder_ / "nowhere/run.json").string();
  EXPECT_THAT(error_of(ErrorKind::bad_input, [&] { check_outputs(recipe_, options_); }),
              ::testing::HasSubstr("nowhere"));
  options_.report.clear();
  EXPECT_NO_THROW(check_outputs(recipe_, options_));
  options_.output.clear();
  EXPECT_THAT(error_of(ErrorKind::bad_input, [&] { check_outputs(recipe_, options_); }),
              ::testing::HasSubstr("--output"));
}

TEST_F(OutputFiles, NoFileMayOverwriteAnotherOfTheSameRun) {
  const auto refused = [&](const std::string& flag) {
    EXPECT_THAT(error_of(ErrorKind::bad_input, [&] { check_outputs(recipe_, options_); }),
                ::testing::HasSubstr(flag));
  };
  options_.trace = (folder_ / "./clip.mp4").string();
  refused("--trace: expected another file than that of --output");
  options_.trace = options_.report = (folder_ / "run.json").string();
  refused("--trace: expected another file than that of --report");
  options_.trace = "./here.json";
  options_.report = "here.json";
  refused("--trace: expected another file than that of --report");
  options_.report = (folder_ / "run.json").string();
  options_.trace.clear();
  EXPECT_NO_THROW(check_outputs(recipe_, options_));
  options_.from_latents = options_.report;
  refused("--report: expected another file than that of --from-latents");
}

TEST_F(OutputFiles, NoFileMayTakeThePlaceOfTheModels) {
  options_.report = (folder_ / "model_index.json").string();
  EXPECT_THAT(error_of(ErrorKind::bad_input, [&] { check_outputs(recipe_, options_); }),
              ::testing::HasSubstr("--report: expected another file than those of the model fake"));
}

TEST_F(OutputFiles, AClipLargerThanTheDiskIsFoundBeforeTheWork) {
  EXPECT_NO_THROW(check_disk_space(options_, {5, 64, 64}, {16, 2, 8, 8}));
  options_.output = (folder_ / "frames").string();
  EXPECT_THAT(error_of(ErrorKind::bad_input,
                       [&] {
                         check_disk_space(options_, {1 << 20, 1 << 14, 1 << 14}, {16, 2, 8, 8});
                       }),
              ::testing::HasSubstr("no space on disk"));
}

TEST_F(OutputFiles, LatentsAreOnDiskUntilTheClipIsComplete) {
  KeptLatents kept(options_);
  kept.write(latents_, {});
  EXPECT_EQ(kept.path(), folder_ / "clip.latents.safetensors");
  EXPECT_TRUE(exists("clip.latents.safetensors"));
  kept.finish();
  EXPECT_FALSE(exists("clip.latents.safetensors"));
  EXPECT_TRUE(kept.path().empty());
}

TEST_F(OutputFiles, LatentsThatWereAskedForStay) {
  options_.save_latents = true;
  KeptLatents kept(options_);
  kept.write(latents_, {});
  kept.finish();
  EXPECT_TRUE(exists("clip.latents.safetensors"));
}

TEST_F(OutputFiles, LatentsThatWereAskedForAreKeptElsewhereWhenTheirPlaceIsGone) {
  options_.latents_path = (folder_ / "gone/kept.safetensors").string();
  KeptLatents kept(options_);
  EXPECT_TRUE(kept.problem().empty());
  kept.write(latents_, {});
  EXPECT_THAT(kept.problem(), ::testing::HasSubstr("gone"));
  kept.finish();
  ASSERT_FALSE(kept.path().empty());
  EXPECT_TRUE(bit_equal(read_latents(kept.path(), 16).latents, latents_));
  std::filesystem::remove(kept.path());
}

TEST_F(OutputFiles, LatentsOfAnotherRunAreLeftAlone) {
  folder_.write("clip.latents.safetensors", "of a run before");
  KeptLatents kept(options_);
  kept.write(latents_, {});
  EXPECT_EQ(kept.path().parent_path(), folder_.path());
  EXPECT_TRUE(bit_equal(read_latents(kept.path(), 16).latents, latents_));
  const auto path = kept.path();
  kept.finish();
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_EQ(read_bytes(folder_ / "clip.latents.safetensors"), "of a run before");
}

TEST_F(OutputFiles, LatentsGoToTheTemporaryFolderWhenTheirPlaceIsGone) {
  options_.output = (folder_ / "gone/clip.mp4").string();
  KeptLatents kept(options_);
  kept.write(latents_, {});
  ASSERT_FALSE(kept.path().empty());
  EXPECT_TRUE(bit_equal(read_latents(kept.path(), 16).latents, latents_));
  const auto path = kept.path();
  kept.finish();
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(HowToContinue, IsACommandThatAShellTakes) {
  EXPECT_EQ(how_to_continue("", "model", "clip.mp4"), "");
  EXPECT_THAT(how_to_continue("a b.safetensors", "m", "it's.mp4"),
              ::testing::HasSubstr("sparsevid generate --model m --from-latents 'a b.safetensors' "
                                   "--output 'it'\\''s.mp4'"));
}

}  // namespace
}  // namespace sparsevid
