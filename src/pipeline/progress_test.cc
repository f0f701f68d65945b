#include "pipeline/progress.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

namespace sparsevid {
namespace {

class Recorder final : public Observer {
 public:
  void progress(const Progress& progress) override { seen.push_back(progress); }
  std::vector<Progress> seen;
};

void wait_ms(int milliseconds) {
  std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
}

TEST(Progress, StartsWithoutAPaceAndGetsOneFromTheFirstStep) {
  Recorder recorder;
  ProgressReporter reporter(&recorder);
  reporter.begin(Stage::sampling, 3);
  EXPECT_LT(recorder.seen.back().seconds_left, 0);
  wait_ms(20);
  reporter.complete(1);
  const Progress progress = recorder.seen.back();
  EXPECT_EQ(progress.step, 1);
  EXPECT_GE(progress.seconds_per_step, 0.02);
  EXPECT_DOUBLE_EQ(progress.seconds_left, 2 * progress.seconds_per_step);
  EXPECT_DOUBLE_EQ(progress.fraction, 1.0 / 3);
}

TEST(Progress, ALongFirstStepIsGuessedFromItsLayers) {
  Recorder recorder;
  ProgressReporter reporter(&recorder);
  reporter.begin(Stage::sampling, 2);
  wait_ms(250);
  reporter.within(0.5);
  const Progress progress = recorder.seen.back();
  EXPECT_EQ(progress.step, 0);
  EXPECT_GE(progress.seconds_per_step, 0.5);
  EXPECT_DOUBLE_EQ(progress.fraction, 0.25);
}

TEST(Progress, LayersAreReportedAFewTimesASecondAtMost) {
  Recorder recorder;
  ProgressReporter reporter(&recorder);
  reporter.begin(Stage::sampling, 2);
  for (int i = 0; i < 1000; ++i) reporter.within(i / 1000.0);
  EXPECT_LE(recorder.seen.size(), 3U);
}

TEST(Progress, FramesThatComeInGroupsShareTheirTime) {
  ProgressReporter reporter(nullptr);
  reporter.begin(Stage::decoding, 5);
  wait_ms(40);
  reporter.complete(4);
  ASSERT_EQ(reporter.step_seconds().size(), 4U);
  EXPECT_GE(reporter.step_seconds()[0], 0.01);
  EXPECT_EQ(reporter.step_seconds()[0], reporter.step_seconds()[3]);
}

}  // namespace
}  // namespace sparsevid
