#include "pipeline/run_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace sparsevid {
namespace {

RunReport report_with_calls() {
  RunReport report;
  report.settings = {{"prompt", "\xff broken"}};
  report.threads = 2;
  report.video_tokens = 320;
  report.stage_seconds = {{"sampling", 2.0}, {"decoding", 1.0}};
  report.step_seconds = {1.5, 0.5};
  report.seconds = 3;
  report.profile.add("self_attention", 1.0);
  report.profile.add("attention.cluster", 0.125);
  report.profile.add("op.linear.onednn", 0.25);
  report.profile.add("op.linear.onednn", 0.25);
  report.profile.add("op.copy.ref", 0.75);
  report.attention.method = "svg2";
  report.attention.calls = {
      {.step = 0, .layer = 0, .branch = 0, .dense = true, .head_density = {}},
      {.step = 1, .layer = 0, .branch = 0, .dense = false, .head_density = {0.25, 0.75}}};
  report.plan = {{{"sampling", {{"weights", 100}}}}};
  return report;
}

TEST(RunReport, HoldsSecondsKernelsAndDensity) {
  const auto json = nlohmann::json::parse(to_json(report_with_calls()));
  EXPECT_EQ(json["seconds"]["total"], 3.0);
  EXPECT_EQ(json["seconds"]["stages"]["decoding"], 1.0);
  EXPECT_EQ(json["seconds"]["attention"], 1.0);
  EXPECT_EQ(json["kernels"][0]["op"], "copy");
  EXPECT_EQ(json["kernels"][1]["implementation"], "onednn");
  EXPECT_EQ(json["kernels"][1]["calls"], 2);
  EXPECT_EQ(json["attention"]["density"], 0.75);
  EXPECT_EQ(json["attention"]["sparse_density"], 0.5);
  EXPECT_EQ(json["attention"]["density_by_step"], (std::vector<double>{1, 0.5}));
  EXPECT_EQ(json["attention"]["density_by_head"][0], (std::vector<double>{0.25, 0.75}));
  EXPECT_EQ(json["attention"]["seconds"]["cluster"], 0.125);
  EXPECT_EQ(json["memory"]["planned_bytes"], 100);
}

TEST(RunReport, TheSummarySaysWhereTheSecondsWent) {
  const auto lines = summarize(report_with_calls());
  EXPECT_THAT(lines, ::testing::Contains(::testing::HasSubstr("sampling 2.00 s")));
  EXPECT_THAT(lines, ::testing::Contains(::testing::HasSubstr("50 % of it")));
  EXPECT_THAT(lines, ::testing::Contains(::testing::HasSubstr("density 0.750; 1 of 2 calls")));
  EXPECT_THAT(lines, ::testing::Contains(::testing::HasSubstr("linear onednn 0.50 s")));
}

}  // namespace
}  // namespace sparsevid
