// The sampling of whole reference runs, with the network's outputs taken from the golden files.
#include <gtest/gtest.h>

#include <array>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "sampling/noise.h"
#include "sampling/scheduler.h"
#include "testing/compare.h"
#include "testing/golden.h"
#include "testing/random_tensor.h"

namespace sparsevid {
namespace {

class Replay : public ::testing::TestWithParam<std::string> {
 protected:
  std::string name_ = "wan_t2v_tiny.case_" + GetParam();
  Golden golden_ = read_golden(name_ + ".f32.safetensors");
  Json case_ = read_golden_json("cases.json").object(name_);
};

TEST_P(Replay, NoiseOfTheSeedIsTheReferenceNoise) {
  const auto& expected = golden_.get("noise");
  Tensor noise(DType::f32, expected.shape());
  torch_randn(case_.raw().at("seed").get<std::uint64_t>(), noise);
  for (std::int64_t i = 0; i < expected.numel(); ++i) {
    ASSERT_LE(ulp_distance(noise->as<float>()[i], expected.as<float>()[i]), 1) << i;
  }
}

TEST_P(Replay, LatentsAfterEachStepAreTheReferenceLatents) {
  const auto model = case_.get_string("transformer");
  const Scheduler scheduler(read_golden_json(model + "/scheduler/scheduler_config.json"));
  const auto schedule = scheduler.schedule(case_.get_int("num_inference_steps", 1, 100));
  EXPECT_EQ(schedule.timesteps, to_vector(golden_.get("timesteps")));
  EXPECT_EQ(schedule.sigmas, to_vector(golden_.get("sigmas")));

  std::array<std::vector<double>, kBufferCount> buffers;
  const auto at = [&](Buffer buffer) -> std::vector<double>& {
    return buffers.at(static_cast<std::size_t>(buffer));
  };
  at(Buffer::sample) = to_vector(golden_.get("noise"));
  for (int step = 0; step < schedule.steps(); ++step) {
    at(Buffer::model_output) = to_vector(golden_.get(fmt::format("step{}.velocity", step)));
    for (const auto& update : schedule.updates[static_cast<std::size_t>(step)]) {
      std::vector<double> sum(at(Buffer::sample).size(), 0.0);
      for (const auto& term : update.terms) {
        const auto& source = at(term.source);
        ASSERT_EQ(source.size(), sum.size()) << "read before it was written";
        for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += term.weight * source[i];
      }
      at(update.target) = std::move(sum);
    }
    const auto& expected = golden_.get(fmt::format("step{}.latents", step));
    // The reference sums about ten terms of order one in fp32, with fp32 coefficients.
    EXPECT_TRUE(close(tensor_of(expected.shape(), at(Buffer::sample), DType::f64), expected, 2e-6))
        << "step " << step;
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, Replay, ::testing::Values("a", "b", "c"));

}  // namespace
}  // namespace sparsevid
