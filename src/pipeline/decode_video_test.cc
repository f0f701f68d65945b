#include "pipeline/decode_video.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "testing/expect_error.h"
#include "testing/random_tensor.h"
#include "testing/temporary_folder.h"

namespace sparsevid {
namespace {

/// Frames of noise, four at a time after the first; one value of `broken_frame` is NaN.
class NoiseVae final : public Vae {
 public:
  int latent_channels() const override { return 1; }
  std::array<int, 3> compression() const override { return {4, 8, 8}; }
  std::size_t weight_bytes() const override { return 0; }
  std::size_t decode_workspace_bytes(const Shape&) const override { return 0; }
  void decode(const TensorView& latents, const FrameSink& sink, Context&) override {
    int frame = 0;
    for (std::int64_t i = 0; i < latents.size(1); ++i) {
      const int count = i == 0 ? 1 : 4;
      Tensor frames = random_tensor({count, 16, 16, 3}, 1);
      const int broken = broken_frame - frame;
      if (broken >= 0 && broken < count)
        frames.view()[broken].as<float>()[100] = std::numeric_limits<float>::quiet_NaN();
      sink(frames);
      frame += count;
    }
  }
  Tensor encode(const TensorView&, Context&) override { return {}; }

  int broken_frame = -1;
};

class DecodeVideo : public ::testing::Test {
 protected:
  void decode() {
    decode_video(vae_, random_tensor({1, 2, 2, 2}, 1), {5, 16, 16}, 8, {}, output_, progress_,
                 context_);
  }

  NoiseVae vae_;
  TemporaryFolder folder_;
  std::filesystem::path output_ = folder_ / "clip.mp4";
  ProgressReporter progress_{nullptr};
  Context context_;
};

TEST_F(DecodeVideo, WritesWhatTheDecoderGives) {
  decode();
  EXPECT_TRUE(std::filesystem::exists(output_));
}

TEST_F(DecodeVideo, AFrameThatIsNotFiniteIsAnErrorAndNoClip) {
  for (const int frame : {0, 3}) {
    vae_.broken_frame = frame;
    EXPECT_THAT(error_of(ErrorKind::internal, [&] { decode(); }),
                ::testing::HasSubstr("decoding frame " + std::to_string(frame + 1) + " of 5"));
    EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
  }
}

}  // namespace
}  // namespace sparsevid
