// The C API on the tiny checkpoint.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sparsevid/sparsevid_c.h"
#include "testing/golden.h"
#include "testing/temporary_folder.h"

namespace sparsevid {
namespace {

class CApi : public ::testing::Test {
 protected:
  CApi() : handle_(sparsevid_create()) {
    sparsevid_generate_options_init(&options_, sizeof(options_));
    options_.prompt = "a red fox";
    options_.output = output_.c_str();
    options_.height = 32;
    options_.width = 32;
    options_.frames = 5;
    options_.steps = 2;
  }
  ~CApi() override { sparsevid_destroy(handle_); }
  void load() {
    ASSERT_EQ(sparsevid_load(handle_, golden_path("wan_t2v_tiny").c_str()), SPARSEVID_OK)
        << sparsevid_last_error(handle_);
  }

  TemporaryFolder folder_;
  std::string output_ = (folder_ / "clip.mp4").string();
  sparsevid_handle* handle_;
  sparsevid_generate_options options_;
};

TEST_F(CApi, LoadsAndGenerates) {
  load();
  EXPECT_THAT(sparsevid_model_json(handle_), ::testing::HasSubstr("WanPipeline"));
  int calls = 0;
  options_.user = &calls;
  options_.progress = [](const sparsevid_progress*, void* user) {
    ++*static_cast<int*>(user);
    return 0;
  };
  const sparsevid_setting setting = {"density", 0.5};
  options_.attention = "svg2";
  options_.attention_settings = &setting;
  options_.attention_setting_count = 1;
  EXPECT_EQ(sparsevid_generate(handle_, &options_), SPARSEVID_OK) << sparsevid_last_error(handle_);
  EXPECT_GT(calls, 4);
  EXPECT_TRUE(std::filesystem::exists(output_));
  EXPECT_THAT(sparsevid_last_report(handle_),
              ::testing::HasSubstr("\"attention.density\": \"0.5\""));
  EXPECT_STREQ(sparsevid_last_error(handle_), "");
}

TEST_F(CApi, ErrorsAreValuesWithAMessage) {
  EXPECT_EQ(sparsevid_generate(handle_, &options_), SPARSEVID_BAD_INPUT);
  EXPECT_THAT(sparsevid_last_error(handle_), ::testing::HasSubstr("no model"));
  EXPECT_EQ(sparsevid_load(handle_, "/nowhere"), SPARSEVID_BAD_FILE);
  EXPECT_THAT(sparsevid_last_error(handle_), ::testing::HasSubstr("/nowhere"));
  load();
  options_.frames = 6;
  EXPECT_EQ(sparsevid_generate(handle_, &options_), SPARSEVID_BAD_INPUT);
  EXPECT_THAT(sparsevid_last_error(handle_), ::testing::HasSubstr("--frames"));
  options_.frames = 5;
  options_.prompt = nullptr;
  EXPECT_EQ(sparsevid_generate(handle_, &options_), SPARSEVID_BAD_INPUT);
  options_.prompt = "a fox";
  options_.attention_setting_count = 1;
  EXPECT_EQ(sparsevid_generate(handle_, &options_), SPARSEVID_BAD_INPUT);
  EXPECT_THAT(sparsevid_last_error(handle_), ::testing::HasSubstr("attention_settings"));
  EXPECT_EQ(sparsevid_generate(handle_, nullptr), SPARSEVID_BAD_INPUT);
  EXPECT_EQ(sparsevid_generate(nullptr, &options_), SPARSEVID_BAD_INPUT);
}

TEST_F(CApi, WhatAGpuIsAskedForReachesTheRun) {
  load();
  const auto expect_refused = [&](const char* flag) {
    EXPECT_EQ(sparsevid_generate(handle_, &options_), SPARSEVID_BAD_INPUT);
    EXPECT_THAT(sparsevid_last_error(handle_), ::testing::HasSubstr(flag));
  };
  options_.device = "abacus";
  expect_refused("--device");
  options_.device = "cpu";
  options_.max_vram = std::uint64_t{1} << 34;
  expect_refused("--max-vram");
  options_.max_vram = 0;
  options_.offload = SPARSEVID_OFFLOAD_BLOCKS;
  expect_refused("--offload");
  options_.offload = static_cast<sparsevid_offload>(3);
  expect_refused("offload");
  options_.offload = SPARSEVID_OFFLOAD_NONE;
  options_.fp8_linears = 1;
  expect_refused("--linear");
  options_.fp8_linears = 0;
  options_.attention_in_8bit = 1;
  expect_refused("--attention-dtype");
  options_.attention_in_8bit = 0;
  options_.vae_precision = SPARSEVID_TF32;
  expect_refused("--vae-dtype tf32");
  options_.vae_precision = SPARSEVID_BF16X3;
  expect_refused("--vae-dtype bf16x3");
  options_.vae_precision = static_cast<sparsevid_precision>(5);
  expect_refused("vae_precision");
  options_.vae_precision = static_cast<sparsevid_precision>(-1);
  expect_refused("vae_precision");
}

TEST_F(CApi, EveryOptionOfARunOnTheCpuIsTaken) {
  load();
  const std::string latents = (folder_ / "kept.safetensors").string();
  const std::string trace = (folder_ / "trace.json").string();
  options_.device = "cpu";
  options_.precision = SPARSEVID_F32;
  options_.vae_precision = SPARSEVID_BF16;
  options_.legacy_sigmas = 1;
  options_.latents_path = latents.c_str();
  options_.skip_memory_check = 1;
  options_.trace = trace.c_str();
  EXPECT_EQ(sparsevid_generate(handle_, &options_), SPARSEVID_OK) << sparsevid_last_error(handle_);
  EXPECT_THAT(sparsevid_last_report(handle_), ::testing::HasSubstr("\"sigmas\": \"legacy\""));
  EXPECT_THAT(sparsevid_last_report(handle_), ::testing::HasSubstr("vae weights (bf16)"));
  EXPECT_TRUE(std::filesystem::exists(latents));
  EXPECT_TRUE(std::filesystem::exists(trace));
}

TEST_F(CApi, ACallbackCanStopTheRun) {
  load();
  options_.progress = [](const sparsevid_progress* progress, void*) {
    return progress->stage == SPARSEVID_SAMPLING ? 1 : 0;
  };
  EXPECT_EQ(sparsevid_generate(handle_, &options_), SPARSEVID_CANCELLED);
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
}

TEST_F(CApi, AShorterStructOfAnOlderHeaderIsFilledWithDefaults) {
  load();
  // As if the header had ended before `report`.
  options_.struct_size = offsetof(sparsevid_generate_options, report);
  options_.report = "/nowhere/run.json";
  EXPECT_EQ(sparsevid_generate(handle_, &options_), SPARSEVID_OK) << sparsevid_last_error(handle_);
}

}  // namespace
}  // namespace sparsevid
