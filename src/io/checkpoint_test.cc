#include "io/checkpoint.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "testing/compare.h"
#include "testing/expect_error.h"
#include "testing/golden.h"
#include "testing/random_tensor.h"
#include "testing/temporary_folder.h"

namespace sparsevid {
namespace {

const std::string kShard1 = "diffusion_pytorch_model-00001-of-00002.safetensors";
const std::string kShard2 = "diffusion_pytorch_model-00002-of-00002.safetensors";
const std::string kIndex = "diffusion_pytorch_model.safetensors.index.json";

void write_one(const std::filesystem::path& path, const std::string& name, DType dtype) {
  write_safetensors(path, {{name, random_tensor({2, 3}, 1, dtype)}});
}

using Pairs = std::vector<std::pair<std::string, std::string>>;

/// {"weight_map": {tensor: shard, ...}}
std::string index_of(const Pairs& pairs) {
  std::vector<std::string> items;
  for (const auto& [name, shard] : pairs)
    items.push_back(fmt::format(R"("{}": "{}")", name, shard));
  return fmt::format(R"({{"weight_map": {{{}}}}})", fmt::join(items, ", "));
}

void write_shards(const TemporaryFolder& folder) {
  write_one(folder / kShard1, "a", DType::f32);
  write_one(folder / kShard2, "b", DType::bf16);
  folder.write(kIndex, index_of({{"a", kShard1}, {"b", kShard2}}));
}

TEST(Checkpoint, OpensTheSingleFileOfEitherLibrary) {
  for (const std::string stem : {"diffusion_pytorch_model", "model"}) {
    const TemporaryFolder folder;
    write_one(folder / (stem + ".safetensors"), "weight", DType::f32);
    const Checkpoint checkpoint(folder.path());
    EXPECT_EQ(checkpoint.names(), (std::vector<std::string>{"weight"}));
    ASSERT_NE(checkpoint.find("weight"), nullptr);
    EXPECT_TRUE(bit_equal(*checkpoint.find("weight"), random_tensor({2, 3}, 1)));
    EXPECT_EQ(checkpoint.find("absent"), nullptr);
    EXPECT_EQ(checkpoint.file_of("weight"), (folder / (stem + ".safetensors")).string());
    EXPECT_EQ(checkpoint.file_of("absent"), folder.path().string());
    EXPECT_EQ(checkpoint.total_bytes(), 24U);
  }
}

TEST(Checkpoint, JoinsTheShardsOfAnIndex) {
  const TemporaryFolder folder;
  write_shards(folder);
  const Checkpoint checkpoint(folder.path());
  EXPECT_EQ(checkpoint.names(), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(checkpoint.find("b")->dtype(), DType::bf16);
  EXPECT_EQ(checkpoint.file_of("b"), (folder / kShard2).string());
  EXPECT_EQ(checkpoint.total_bytes(), 36U);
  EXPECT_EQ(checkpoint.bytes_by_dtype(),
            (std::map<std::string, std::uint64_t>{{"BF16", 12}, {"F32", 24}}));
}

TEST(Checkpoint, TensorsTheIndexForgetsAreThereAllTheSame) {
  const TemporaryFolder folder;
  write_shards(folder);
  folder.write(kIndex, index_of({{"a", kShard1}}));
  EXPECT_EQ(Checkpoint(folder.path()).names(), (std::vector<std::string>{"a"}));
  write_safetensors(folder / kShard1,
                    {{"a", random_tensor({2}, 1)}, {"extra", random_tensor({2}, 2)}});
  EXPECT_EQ(Checkpoint(folder.path()).names(), (std::vector<std::string>{"a", "extra"}));
}

TEST(Checkpoint, AVariantIsTakenWhenItIsTheOnlyOne) {
  const TemporaryFolder folder;
  write_one(folder / "diffusion_pytorch_model.bf16.safetensors", "a", DType::bf16);
  EXPECT_EQ(Checkpoint(folder.path()).names().size(), 1U);
  write_one(folder / "diffusion_pytorch_model.fp16.safetensors", "a", DType::f32);
  const auto message = error_of(ErrorKind::bad_file, [&] { Checkpoint{folder.path()}; });
  EXPECT_NE(message.find("found several variants: diffusion_pytorch_model.bf16.safetensors, "
                         "diffusion_pytorch_model.fp16.safetensors"),
            std::string::npos)
      << message;
  write_one(folder / "diffusion_pytorch_model.safetensors", "plain", DType::f32);
  EXPECT_EQ(Checkpoint(folder.path()).names(), (std::vector<std::string>{"plain"}));
}

TEST(Checkpoint, AVariantMayHaveShards) {
  const TemporaryFolder folder;
  const std::string shard = "model.fp16-00001-of-00001.safetensors";
  write_one(folder / shard, "a", DType::f32);
  folder.write("model.safetensors.index.fp16.json", index_of({{"a", shard}}));
  EXPECT_EQ(Checkpoint(folder.path()).names(), (std::vector<std::string>{"a"}));
}

TEST(Checkpoint, MissingAndEmptyFoldersAreNamed) {
  const TemporaryFolder folder;
  EXPECT_EQ(error_of(ErrorKind::bad_file, [&] { Checkpoint{folder / "vae"}; }),
            (folder / "vae").string() + ": no such folder");
  EXPECT_EQ(error_of(ErrorKind::bad_file, [&] { Checkpoint{folder.path()}; }),
            folder.path().string() + ": the folder is empty");
  const auto file = folder.write("file", "x");
  EXPECT_EQ(error_of(ErrorKind::bad_file, [&] { Checkpoint{file}; }),
            file.string() + ": expected a folder, found a file");
}

TEST(Checkpoint, AFolderWithoutSafetensorsSaysWhatItHolds) {
  const TemporaryFolder folder;
  folder.write("config.json", "{}");
  auto message = error_of(ErrorKind::bad_file, [&] { Checkpoint{folder.path()}; });
  EXPECT_NE(message.find("found config.json"), std::string::npos) << message;
  folder.write("diffusion_pytorch_model.bin", "x");
  message = error_of(ErrorKind::bad_file, [&] { Checkpoint{folder.path()}; });
  EXPECT_NE(message.find("only pickled PyTorch weights"), std::string::npos) << message;
}

TEST(Checkpoint, AllMissingShardsAreListed) {
  const TemporaryFolder folder;
  write_shards(folder);
  std::filesystem::remove(folder / kShard1);
  std::filesystem::remove(folder / kShard2);
  EXPECT_EQ(error_of(ErrorKind::bad_file, [&] { Checkpoint{folder.path()}; }),
            folder.path().string() + ": 2 of 2 files are missing: " + kShard1 + ", " + kShard2);
}

TEST(Checkpoint, AllTensorsThatTheirShardLacksAreListed) {
  const TemporaryFolder folder;
  write_shards(folder);
  folder.write(kIndex, index_of({{"b", kShard1}, {"a", kShard1}, {"c", kShard2}}));
  const auto message = error_of(ErrorKind::bad_file, [&] { Checkpoint{folder.path()}; });
  EXPECT_NE(message.find("2 tensors of the index are not in their files: b (in " + kShard1 +
                         "), c (in " + kShard2 + ")"),
            std::string::npos)
      << message;
}

TEST(Checkpoint, BrokenIndexesAreRefused) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"{", "broken JSON"},
      {"{}", "key 'weight_map' is missing"},
      {R"({"weight_map": []})", "expected an object"},
      {R"({"weight_map": {}})", "expected tensors, found none"},
      {R"({"weight_map": {"a": 1}})", "key 'a': expected a string, found 1"},
      {R"({"weight_map": {"a": "../secret.safetensors"}})", "expected the name of a file"},
      {R"({"weight_map": {"a": ""}})", "expected the name of a file"},
      {R"({"weight_map": {"a": ".."}})", "expected the name of a file"},
      {R"({"weight_map": {"a": "x\ny"}})", "1 of 1 files are missing: x?y"},
  };
  for (const auto& [text, expected] : cases) {
    const TemporaryFolder folder;
    folder.write(kIndex, text);
    const auto message = error_of(ErrorKind::bad_file, [&] { Checkpoint{folder.path()}; });
    EXPECT_NE(message.find(expected), std::string::npos) << message;
  }
}

TEST(Checkpoint, ATruncatedShardIsNamed) {
  const TemporaryFolder folder;
  write_shards(folder);
  truncate_file(folder / kShard2, 50);
  const auto message = error_of(ErrorKind::bad_file, [&] { Checkpoint{folder.path()}; });
  EXPECT_NE(message.find(kShard2 + ": truncated"), std::string::npos) << message;
}

TEST(Checkpoint, OpensTheGoldenComponents) {
  const Checkpoint transformer(golden_path("wan_t2v_tiny/transformer"));
  EXPECT_NE(transformer.find("patch_embedding.weight"), nullptr);
  const Checkpoint encoder(golden_path("wan_t2v_tiny/text_encoder"));
  EXPECT_NE(encoder.find("shared.weight"), nullptr);
}

}  // namespace
}  // namespace sparsevid
