#include "text/sentencepiece_tokenizer.h"

#include <gtest/gtest.h>

#include <climits>
#include <nlohmann/json.hpp>

#include "testing/expect_error.h"
#include "testing/golden.h"
#include "testing/random_tensor.h"
#include "testing/temporary_folder.h"
#include "text/clean_prompt.h"

namespace sparsevid {
namespace {

SentencePieceTokenizer golden_tokenizer() {
  return SentencePieceTokenizer(golden_path("wan_t2v_tiny/tokenizer"));
}

TEST(SentencePieceTokenizer, GivesTheIdsOfWansPipeline) {
  const auto tokenizer = golden_tokenizer();
  const auto golden = read_golden_json("prompts.json");
  int cases = 0;
  for (const auto* group : {"cleaning", "mojibake"}) {
    for (const auto& item : golden.raw().at(group)) {
      // A byte piece spelled out, "<0x41>", is the one text we read differently: as plain text.
      if (item.at("name") == "literal_byte_piece") continue;
      EXPECT_EQ(tokenizer.encode(item.at("cleaned").get<std::string>(), 512),
                item.at("ids").get<std::vector<int>>())
          << item.at("name");
      ++cases;
    }
  }
  EXPECT_GE(cases, 60);
}

TEST(SentencePieceTokenizer, PromptsOfTheReferenceRunsGiveTheirIds) {
  const auto tokenizer = golden_tokenizer();
  const auto cases = read_golden_json("cases.json");
  for (const auto& name : cases.keys()) {
    const auto item = cases.object(name);
    const auto golden = read_golden(name + ".f32.safetensors");
    for (const auto& [key, tensor] : {std::pair{"prompt", "text.prompt.ids"},
                                      std::pair{"negative_prompt", "text.negative.ids"}}) {
      const auto ids = tokenizer.encode(clean_prompt(item.get_string(key)), 512);
      EXPECT_EQ(std::vector<double>(ids.begin(), ids.end()), to_vector(golden.get(tensor)))
          << name << " " << key;
    }
  }
}

TEST(SentencePieceTokenizer, TruncationKeepsTheEndOfSequence) {
  const auto tokenizer = golden_tokenizer();
  const auto golden = read_golden_json("prompts.json");
  for (const auto& item : golden.raw().at("truncation")) {
    std::string text = item.value("text", "");
    for (int i = 0; i < item.value("times", 0); ++i) text += item.at("repeat").get<std::string>();
    EXPECT_EQ(tokenizer.encode(text, item.at("max_length").get<int>()),
              item.at("ids").get<std::vector<int>>());
    if (item.contains("tokens_before_eos")) {
      EXPECT_EQ(static_cast<int>(tokenizer.encode(text, INT_MAX).size()),
                item.at("tokens_before_eos").get<int>() + 1);
    }
  }
  error_of(ErrorKind::bad_input, [&] { tokenizer.encode("a", 0); });
}

TEST(SentencePieceTokenizer, IdsStayBelowTheVocabularySize) {
  const auto tokenizer = golden_tokenizer();
  EXPECT_EQ(tokenizer.vocabulary_size(), 506);  // 490 pieces and 16 sentinels
  for (const int id : tokenizer.encode("fox <extra_id_0> \xf0\x9f\xa6\x8a \xff", 512)) {
    EXPECT_GE(id, 0);
    EXPECT_LT(id, tokenizer.vocabulary_size());
  }
}

TEST(SentencePieceTokenizer, ReadsAddedTokensByTheirIds) {
  const TemporaryFolder folder;
  std::filesystem::copy(golden_path("wan_t2v_tiny/tokenizer/spiece.model"),
                        folder / "spiece.model");
  EXPECT_EQ(SentencePieceTokenizer(folder.path()).vocabulary_size(), 490);
  folder.write(
      "tokenizer_config.json",
      R"({"added_tokens_decoder": {"700": {"content": "<cat>"}, "0": {"content": "<pad>"}}})");
  const SentencePieceTokenizer tokenizer(folder.path());
  EXPECT_EQ(tokenizer.encode("<cat>", 9), (std::vector<int>{700, 1}));
  EXPECT_EQ(tokenizer.encode("  <cat> <pad><cat>", 9), (std::vector<int>{700, 0, 700, 1}));
  EXPECT_EQ(tokenizer.vocabulary_size(), 701);
  folder.write("tokenizer_config.json", R"({"added_tokens_decoder": {"-1": {"content": "x"}}})");
  EXPECT_NE(error_of(ErrorKind::bad_file, [&] { SentencePieceTokenizer{folder.path()}; })
                .find("expected ids in [0, "),
            std::string::npos);
}

TEST(SentencePieceTokenizer, MissingAndBrokenModelsAreNamed) {
  const TemporaryFolder folder;
  const auto open = [&] {
    return error_of(ErrorKind::bad_file, [&] { SentencePieceTokenizer{folder.path()}; });
  };
  EXPECT_NE(open().find("spiece.model: cannot be opened"), std::string::npos);
  const auto whole = read_bytes(golden_path("wan_t2v_tiny/tokenizer/spiece.model"));
  const auto expected = (folder / "spiece.model").string() + ": expected a SentencePiece model";
  for (const std::string& bytes :
       {std::string(), std::string("version "), std::string(1000, '\0'), std::string(1000, '\xff'),
        whole.substr(0, 1), whole.substr(0, 1000), whole.substr(0, whole.size() / 2),
        whole.substr(0, whole.size() - 1)}) {
    folder.write("spiece.model", bytes);
    const auto message = open();
    EXPECT_TRUE(message.starts_with(expected)) << bytes.size() << " bytes: " << message;
  }
}

}  // namespace
}  // namespace sparsevid
