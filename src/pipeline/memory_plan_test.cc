#include "pipeline/memory_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pipeline/fake_recipe.h"
#include "testing/expect_error.h"
#include "testing/temporary_folder.h"

namespace sparsevid {
namespace {

constexpr std::uint64_t kMib = 1 << 20;

Settings settings_of(int height, int width, int frames, DType dtype) {
  Settings settings;
  settings.height = height;
  settings.width = width;
  settings.frames = frames;
  settings.dtype = dtype;
  return settings;
}

TEST(MemoryPlan, ThePeakIsTheLargestPhase) {
  const MemoryPlan plan = {{{"text", {{"a", 5}, {"b", 6}}}, {"sampling", {{"c", 10}}}}};
  EXPECT_EQ(plan.peak(), 11U);
  EXPECT_EQ(plan.largest().name, "text");
}

// The fake's sampling takes 100 + 20 MiB for 5 frames of 64 x 64 in bf16; program and video encoder
// come to 64.7 MiB more.
TEST(MemoryPlan, WhatFitsPasses) {
  EXPECT_NO_THROW(check_memory(FakeRecipe(), settings_of(64, 64, 5, DType::bf16), 185 * kMib, 0));
}

TEST(MemoryPlan, WhatDoesNotFitIsRefusedWithSettingsThatWould) {
  const auto message = error_of(ErrorKind::out_of_memory, [] {
    check_memory(FakeRecipe(), settings_of(64, 64, 5, DType::bf16), 184 * kMib, 0);
  });
  EXPECT_THAT(message, ::testing::HasSubstr("sampling needs"));
  EXPECT_THAT(message, ::testing::HasSubstr("--frames 1"));
  EXPECT_THAT(message, ::testing::HasSubstr("--height 48 --width 48"));
  EXPECT_THAT(message, ::testing::Not(::testing::HasSubstr("bf16")));
}

TEST(MemoryPlan, AHalfTypeIsAdvisedWhenItWouldFit) {
  const auto message = error_of(ErrorKind::out_of_memory, [] {
    check_memory(FakeRecipe(), settings_of(64, 64, 5, DType::f32), 250 * kMib, 0);
  });
  EXPECT_THAT(message, ::testing::HasSubstr("--dtype bf16"));
}

TEST(MemoryPlan, NothingIsAdvisedWhenNothingFits) {
  const auto message = error_of(ErrorKind::out_of_memory, [] {
    check_memory(FakeRecipe(), settings_of(64, 64, 5, DType::f32), 100 * kMib, 0);
  });
  EXPECT_THAT(message, ::testing::HasSubstr("larger machine"));
}

Settings on_gpu(Settings settings, Offload offload = Offload::none) {
  settings.device = Device::cuda;
  settings.offload = offload;
  return settings;
}

// On a GPU the fake takes 120 MiB and 128 for libraries; a streamed block takes 8 less.
TEST(Offload, NoMoreBlocksAreStreamedThanHaveTo) {
  const Settings settings = on_gpu(settings_of(64, 64, 5, DType::bf16), Offload::blocks);
  EXPECT_EQ(fitted(FakeRecipe(), settings, 248 * kMib).streamed_blocks, 0);
  EXPECT_EQ(fitted(FakeRecipe(), settings, 247 * kMib).streamed_blocks, 1);
  EXPECT_EQ(fitted(FakeRecipe(), settings, 218 * kMib).streamed_blocks, 4);
  EXPECT_EQ(fitted(FakeRecipe(), settings, 1).streamed_blocks, 10);
  EXPECT_EQ(fitted(FakeRecipe(), on_gpu(settings), 1).streamed_blocks, 0);
}

TEST(Offload, IsAdvisedWhereItWouldFit) {
  FakeRecipe recipe;
  const Settings settings = on_gpu(settings_of(64, 64, 5, DType::bf16));
  const auto blocks =
      error_of(ErrorKind::out_of_memory, [&] { check_memory(recipe, settings, 200 * kMib, 0); });
  EXPECT_THAT(blocks, ::testing::HasSubstr("GPU memory"));
  EXPECT_THAT(blocks, ::testing::EndsWith("it would fit with --offload blocks"));
  EXPECT_THAT(blocks, ::testing::Not(::testing::HasSubstr("--offload text")));
  recipe.large_text = true;
  const auto text =
      error_of(ErrorKind::out_of_memory, [&] { check_memory(recipe, settings, 300 * kMib, 0); });
  EXPECT_THAT(text, ::testing::HasSubstr("text needs 328 MiB"));
  EXPECT_THAT(text, ::testing::HasSubstr("fit with --offload text, or with --offload blocks"));
}

TEST(MemoryPlan, ADecoderThatSplitsNothingIsAdvised) {
  Settings settings = on_gpu(settings_of(64, 64, 5, DType::bf16));
  settings.vae_products = ops::F32Products::bf16x3;
  const auto message = error_of(ErrorKind::out_of_memory,
                                [&] { check_memory(FakeRecipe(), settings, 300 * kMib, 0); });
  EXPECT_THAT(message, ::testing::HasSubstr("decoding needs 528 MiB"));
  EXPECT_THAT(message,
              ::testing::HasSubstr("it would fit with --vae-dtype tf32, or with --vae-dtype bf16"));
}

TEST(Offload, OnACpuIsNotAdvised) {
  const auto message = error_of(ErrorKind::out_of_memory, [] {
    check_memory(FakeRecipe(), settings_of(64, 64, 5, DType::bf16), 180 * kMib, 0);
  });
  EXPECT_THAT(message, ::testing::Not(::testing::HasSubstr("--offload")));
}

TEST(Offload, WhatTheHostCannotKeepIsRefused) {
  const Settings settings = fitted(
      FakeRecipe(), on_gpu(settings_of(64, 64, 5, DType::bf16), Offload::blocks), 218 * kMib);
  EXPECT_NO_THROW(check_memory(FakeRecipe(), settings, 218 * kMib, 32 * kMib));
  const auto message = error_of(ErrorKind::out_of_memory, [&] {
    check_memory(FakeRecipe(), settings, 218 * kMib, 31 * kMib);
  });
  EXPECT_THAT(message, ::testing::HasSubstr("host memory: --offload blocks keeps 32 MiB"));
}

TEST(FreeMemory, IsWhatTheSystemCallsAvailable) {
  const TemporaryFolder root;
  root.write("proc/meminfo", "MemTotal: 900 kB\nMemFree: 10 kB\nMemAvailable: 512 kB\n");
  EXPECT_EQ(free_memory(root.path().string()), 512U * 1024);
}

TEST(FreeMemory, AControlGroupOfVersion2CanAllowLess) {
  const TemporaryFolder root;
  root.write("proc/meminfo", "MemAvailable: 1048576 kB\n");
  root.write("proc/self/cgroup", "0::/box/inner\n");
  root.write("sys/fs/cgroup/box/memory.max", std::to_string(100 * kMib));
  root.write("sys/fs/cgroup/box/memory.current", std::to_string(60 * kMib));
  root.write("sys/fs/cgroup/box/memory.stat",
             "anon 1\ninactive_file " + std::to_string(20 * kMib) + "\n");
  root.write("sys/fs/cgroup/box/inner/memory.max", "max\n");
  root.write("sys/fs/cgroup/box/inner/memory.current", "5");
  EXPECT_EQ(free_memory(root.path().string()), 60 * kMib);
}

TEST(FreeMemory, AControlGroupOfVersion1CanAllowLess) {
  const TemporaryFolder root;
  root.write("proc/meminfo", "MemAvailable: 1048576 kB\n");
  root.write("proc/self/cgroup", "5:cpu:/a\n3:memory:/box\n");
  root.write("sys/fs/cgroup/memory/box/memory.limit_in_bytes", std::to_string(50 * kMib));
  root.write("sys/fs/cgroup/memory/box/memory.usage_in_bytes", std::to_string(70 * kMib));
  EXPECT_EQ(free_memory(root.path().string()), 0U);
}

TEST(FreeMemory, ThisMachineHasSomeAndThisProcessHeldSome) {
  EXPECT_GT(free_memory(), kMib);
  EXPECT_GT(peak_memory(), kMib);
}

TEST(MemoryText, ChangesItsUnit) {
  EXPECT_EQ(memory_text(12 * 1024), "12 KiB");
  EXPECT_EQ(memory_text(640 * kMib), "640 MiB");
  EXPECT_EQ(memory_text(12 * 1024 * kMib + 307 * kMib), "12.3 GiB");
}

}  // namespace
}  // namespace sparsevid
