#include "models/text/umt5.h"

#include <gtest/gtest.h>

#include <array>

#include "testing/compare.h"
#include "testing/golden.h"
#include "testing/temporary_folder.h"

namespace sparsevid {
namespace {

Tensor encode(const Golden& golden, const std::string& which, DType dtype, Context& context,
              bool passing = false) {
  const auto path = golden_path("wan_t2v_tiny") / "text_encoder";
  Umt5Encoder encoder(Umt5Config::parse(Json::read(path / "config.json")),
                      std::make_shared<Checkpoint>(path), dtype, passing, context);
  const TensorView ids = golden.get("text." + which + ".ids");
  std::vector<int> values;
  for (std::int64_t i = 0; i < ids.numel(); ++i)
    values.push_back(static_cast<int>(element(ids, i)));
  return std::move(encoder.encode(std::array{values}, context)[0]);
}

TEST(Umt5, StatesAgreeWithTheReferenceInFp32) {
  Context context;
  for (const std::string name : {"case_a", "case_b", "case_c"}) {
    const Golden golden = read_golden("wan_t2v_tiny." + name + ".f32.safetensors");
    for (const std::string which : {"prompt", "negative"}) {
      const Tensor states = encode(golden, which, DType::f32, context);
      EXPECT_TRUE(close(states, golden.get("text." + which + ".states"), 1e-4)) << name << which;
    }
  }
}

TEST(Umt5, Bf16IsNoFurtherFromFp32ThanTheReferencesOwnBf16) {
  Context context;
  const Golden exact = read_golden("wan_t2v_tiny.case_a.f32.safetensors");
  const Golden rounded = read_golden("wan_t2v_tiny.case_a.bf16.safetensors");
  const TensorView expected = exact.get("text.prompt.states");
  const double reference = relative_error(rounded.get("text.prompt.states"), expected);
  const double ours = relative_error(encode(exact, "prompt", DType::bf16, context), expected);
  EXPECT_LT(ours, 1.1 * reference);
  EXPECT_GT(ours, 1e-4);
}

TEST(Umt5, PromptsEncodedTogetherAndWithPassingWeightsGiveTheSame) {
  Context context;
  const Golden golden = read_golden("wan_t2v_tiny.case_a.f32.safetensors");
  const auto path = golden_path("wan_t2v_tiny") / "text_encoder";
  for (const DType dtype : {DType::f32, DType::bf16}) {
    Umt5Encoder encoder(Umt5Config::parse(Json::read(path / "config.json")),
                        std::make_shared<Checkpoint>(path), dtype, true, context);
    std::array<std::vector<int>, 2> ids;
    for (std::size_t i = 0; i < 2; ++i) {
      const TensorView values = golden.get(i == 0 ? "text.prompt.ids" : "text.negative.ids");
      for (std::int64_t j = 0; j < values.numel(); ++j)
        ids[i].push_back(static_cast<int>(element(values, j)));
    }
    const std::vector<Tensor> states = encoder.encode(ids, context);
    EXPECT_TRUE(bit_equal(states[0], encode(golden, "prompt", dtype, context)));
    EXPECT_TRUE(bit_equal(states[1], encode(golden, "negative", dtype, context)));
  }
}

TEST(Umt5, TokensOutsideOfTheVocabularyAreRefused) {
  const auto path = golden_path("wan_t2v_tiny") / "text_encoder";
  const Umt5Config config = Umt5Config::parse(Json::read(path / "config.json"));
  Context context;
  Umt5Encoder encoder(config, std::make_shared<Checkpoint>(path), DType::f32, false, context);
  for (const int id : {-1, config.vocab_size})
    EXPECT_THROW(encoder.encode(std::array{std::vector{1, id}}, context), Error) << id;
}

TEST(Umt5, BucketsOfRelativePositionsAgreeWithTheReference) {
  const Golden golden = read_golden("ops.safetensors");
  const TensorView distance = golden.get("umt5.distance");
  const TensorView bucket = golden.get("umt5.bucket");
  for (std::int64_t i = 0; i < distance.numel(); ++i)
    EXPECT_EQ(relative_position_bucket(static_cast<int>(element(distance, i)), 32, 128),
              element(bucket, i))
        << "distance " << element(distance, i);
}

TEST(Umt5, ThePublishedEncoderHasTheTensorsThatTheReferenceHas) {
  const TemporaryFolder folder;
  folder.write("model.safetensors",
               safetensors_bytes(R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4));
  const Umt5Config config = Umt5Config::parse(Json::parse(
      R"({"d_model": 4096, "d_kv": 64, "num_heads": 64, "d_ff": 10240, "num_layers": 24,
          "vocab_size": 256384, "feed_forward_proj": "gated-gelu"})",
      "config.json"));
  EXPECT_EQ(Umt5Encoder::check(config, Checkpoint(folder.path())).missing.size(), 242U);
  // The reference counts the table twice: its name for the encoder is an alias.
  EXPECT_EQ(Umt5Encoder::memory(config, DType::f32, false, Device::cpu, {}).weights / sizeof(float),
            6731059200U - 256384U * 4096U);
}

}  // namespace
}  // namespace sparsevid
