#include "io/safetensors.h"

#include <gtest/gtest.h>

#include <cstring>

#include "base/error.h"
#include "testing/compare.h"
#include "testing/expect_error.h"
#include "testing/golden.h"
#include "testing/random_tensor.h"
#include "testing/temporary_folder.h"

namespace sparsevid {
namespace {

SafetensorsFile open_bytes(const std::string& bytes) {
  return {reinterpret_cast<const std::byte*>(bytes.data()), bytes.size(), "w.safetensors"};
}

std::string refusal(const std::string& bytes) {
  return error_of(ErrorKind::bad_file, [&] { open_bytes(bytes); });
}

/// What is wrong with a file of this header and so much data.
std::string refusal_of(const std::string& header, std::size_t data_size) {
  return refusal(safetensors_bytes(header, data_size));
}

std::string entry(const std::string& name, const std::string& dtype, const std::string& shape,
                  const std::string& offsets) {
  return fmt::format(R"("{}": {{"dtype": "{}", "shape": {}, "data_offsets": {}}})", name, dtype,
                     shape, offsets);
}

std::string header_of(const std::vector<std::string>& entries) {
  return fmt::format("{{{}}}", fmt::join(entries, ", "));
}

TEST(Safetensors, GivesTensorsByNameWithTypeAndShape) {
  const auto bytes = safetensors_bytes(
      header_of({entry("a", "F32", "[2, 3]", "[0, 24]"), entry("b", "BF16", "[]", "[24, 26]"),
                 entry("c", "I64", "[0, 5]", "[26, 26]"), R"("__metadata__": {"format": "pt"})"}),
      26);
  const auto file = open_bytes(bytes);
  EXPECT_EQ(file.names(), (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(file.get("a").shape(), (Shape{2, 3}));
  EXPECT_EQ(file.get("a").dtype(), DType::f32);
  EXPECT_EQ(file.get("b").shape(), Shape{});
  EXPECT_EQ(file.get("b").dtype(), DType::bf16);
  EXPECT_EQ(file.get("c").numel(), 0);
  EXPECT_EQ(file.dtype_name("b"), "BF16");
  EXPECT_EQ(file.bytes_of("a"), 24U);
  EXPECT_EQ(file.total_bytes(), 26U);
  EXPECT_EQ(file.metadata().at("format"), "pt");
  EXPECT_EQ(file.find("absent"), nullptr);
  EXPECT_EQ(error_of(ErrorKind::bad_file, [&] { file.get("absent"); }),
            "w.safetensors: holds no tensor 'absent'");
}

TEST(Safetensors, ATensorAtAnOddAddressIsReadCorrectly) {
  const std::string values = std::string("\x01", 1) + std::string("\x00\x00\x80\x3f", 4);
  for (const std::string padding : {"", " ", "  ", "   "}) {
    auto bytes = safetensors_bytes(
        header_of({entry("a", "U8", "[1]", "[0, 1]"), entry("b", "F32", "[1]", "[1, 5]")}) +
            padding,
        5);
    std::memcpy(bytes.data() + bytes.size() - 5, values.data(), 5);
    const auto file = open_bytes(bytes);
    EXPECT_EQ(file.get("b").as<float>()[0], 1.0F);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(file.get("b").data()) % 4, 0U);
  }
}

TEST(Safetensors, TypesWeDoNotReadFailOnlyWhenAskedFor) {
  const auto bytes = safetensors_bytes(
      header_of({entry("a", "F8_E4M3", "[4]", "[0, 4]"), entry("b", "U8", "[4]", "[4, 8]")}), 8);
  const auto file = open_bytes(bytes);
  EXPECT_TRUE(file.has("a"));
  EXPECT_EQ(file.get("b").numel(), 4);
  EXPECT_EQ(error_of(ErrorKind::bad_file, [&] { file.find("a"); }),
            "w.safetensors: tensor 'a': expected F64, F32, F16, BF16, I64, I32 or U8, found "
            "F8_E4M3");
}

TEST(Safetensors, TruncatedAndOversizedHeadersAreRefused) {
  EXPECT_EQ(refusal(""), "w.safetensors: expected a safetensors file, found only 0 bytes");
  EXPECT_EQ(refusal("1234567"), "w.safetensors: expected a safetensors file, found only 7 bytes");
  const auto whole = safetensors_bytes(header_of({entry("a", "F32", "[2]", "[0, 8]")}), 8);
  for (std::size_t size = 0; size < whole.size(); ++size) refusal(whole.substr(0, size));
  EXPECT_NE(refusal(whole.substr(0, 20)).find("truncated"), std::string::npos);
  EXPECT_NE(refusal(whole.substr(0, whole.size() - 1)).find("outside the file's 7 bytes of data"),
            std::string::npos);
  EXPECT_NE(refusal(whole + "x").find("expected 8 bytes of data as the header says, found 9"),
            std::string::npos);
  EXPECT_EQ(refusal(std::string(8, '\xff') + "{}"),
            "w.safetensors: expected a safetensors header of at most 100000000 bytes, found "
            "18446744073709551615");
  // A file of something else, as when a download page is saved in place of the weights.
  refusal("<!DOCTYPE html><html>not weights</html>");
}

TEST(Safetensors, HeadersThatAreNotTheExpectedJsonAreRefused) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "starts with '{'"},
      {"[]", "starts with '{'"},
      {" {}", "starts with '{'"},
      {"{", "header: broken JSON at line 1, column 2"},
      {"{\"a\": \xff}", "header: broken JSON"},
      {"{\"a\xff\": 1}", "header: broken JSON"},
      {R"({"a": 1})", "tensor 'a': expected an object"},
      {R"({"a": {"shape": [1], "data_offsets": [0, 4]}})", "expected a string 'dtype'"},
      {R"({"a": {"dtype": 5, "shape": [1], "data_offsets": [0, 4]}})", "expected a string 'dtype'"},
      {R"({"a": {"dtype": "F32", "data_offsets": [0, 4]}})", "expected an array 'shape'"},
      {R"({"a": {"dtype": "F32", "shape": [1]}})", "expected 'data_offsets'"},
      {R"({"__metadata__": {"a": 1}})", "__metadata__"},
      {R"({"__metadata__": []})", "__metadata__"},
      {R"({"__metadata__": "x"})", "__metadata__"},
      {R"({"__metadata__": null})", "__metadata__"},
      {header_of({entry("a", "F32", "[1]", "[0, 4]"), entry("a", "F32", "[1]", "[4, 8]")}),
       "'a' occurs twice in the header"},
      {R"({"a": {"dtype": "F32", "dtype": "F32", "shape": [1], "data_offsets": [0, 4]}})",
       "'dtype' occurs twice"},
  };
  for (const auto& [header, expected] : cases) {
    const auto message = refusal_of(header, 4);
    EXPECT_NE(message.find(expected), std::string::npos) << header << " -> " << message;
    EXPECT_TRUE(message.starts_with("w.safetensors: ")) << message;
  }
}

TEST(Safetensors, ImpossibleTypesShapesAndOffsetsAreRefused) {
  struct Case {
    std::string dtype, shape, offsets, expected;
  };
  const std::vector<Case> cases = {
      {"F33", "[1]", "[0, 4]", "unknown dtype \"F33\""},
      {"F32", "[-1]", "[0, 4]", "expected a shape of whole numbers >= 0, found [-1]"},
      {"F32", "[1.5]", "[0, 4]", "whole numbers"},
      {"F32", "[\"1\"]", "[0, 4]", "whole numbers"},
      {"F32", "[18446744073709551615]", "[0, 4]", "whole numbers"},
      {"F32", "[4294967296, 4294967296]", "[0, 0]", "too large"},
      {"F32", "[0, 4294967296, 4294967296]", "[0, 0]", "too large"},
      {"F32", "[9223372036854775807]", "[0, 4]", "too large"},
      {"F32", "[1, 1, 1, 1, 1, 1, 1]", "[0, 4]", "expected at most 6 axes, found 7"},
      {"F32", "[2]", "[0, 4]", "expected 8 bytes for F32 [2], found 4"},
      {"BF16", "[1]", "[0, 4]", "expected 2 bytes for BF16 [1], found 4"},
      {"F32", "[1]", "[0, 5]", "outside the file's 4 bytes of data"},
      {"F32", "[1]", "[4, 8]", "outside"},
      {"F32", "[1]", "[4, 0]", "outside"},
      {"F32", "[1]", "[18446744073709551612, 18446744073709551615]", "outside"},
      {"F32", "[1]", "[-4, 0]", "expected 'data_offsets' of two whole numbers >= 0"},
      {"F32", "[1]", "[0]", "expected 'data_offsets'"},
      {"F32", "[1]", "[0, 4, 8]", "expected 'data_offsets'"},
      {"F32", "[1]", "[0.0, 4.0]", "expected 'data_offsets'"},
      {"F32", "[1]", "{\"a\": 0, \"b\": 4}", "expected 'data_offsets'"},
  };
  for (const auto& item : cases) {
    const auto message =
        refusal_of(header_of({entry("a", item.dtype, item.shape, item.offsets)}), 4);
    EXPECT_NE(message.find(item.expected), std::string::npos) << message;
    EXPECT_NE(message.find("w.safetensors: tensor 'a'"), std::string::npos) << message;
  }
}

TEST(Safetensors, OverlapsAndHolesBetweenTensorsAreRefused) {
  const auto two = [](const std::string& first, const std::string& second) {
    return header_of({entry("a", "U8", "[4]", first), entry("b", "U8", "[4]", second)});
  };
  EXPECT_NE(refusal_of(two("[0, 4]", "[3, 7]"), 7)
                .find("tensor 'b': starts at byte 3 and overlaps tensor 'a', which ends at 4"),
            std::string::npos);
  EXPECT_NE(refusal_of(two("[0, 4]", "[0, 4]"), 4).find("overlaps"), std::string::npos);
  EXPECT_NE(refusal_of(two("[0, 4]", "[5, 9]"), 9)
                .find("tensor 'b': starts at byte 5, leaving a hole after byte 4"),
            std::string::npos);
  EXPECT_NE(refusal_of(two("[1, 5]", "[5, 9]"), 9).find("hole after byte 0"), std::string::npos);
  EXPECT_EQ(open_bytes(safetensors_bytes(two("[4, 8]", "[0, 4]"), 8)).names().size(), 2U);
}

TEST(Safetensors, NamesWithControlCharactersKeepTheMessageOnOneLine) {
  refusal_of(header_of({entry("a\\n\\u0000b", "F32", "[2]", "[0, 4]")}), 4);
}

TEST(Safetensors, FilesThatCannotBeOpenedAreNamed) {
  const TemporaryFolder folder;
  EXPECT_EQ(error_of(ErrorKind::bad_file, [&] { SafetensorsFile(folder / "none"); }),
            (folder / "none").string() + ": cannot be opened: No such file or directory");
  error_of(ErrorKind::bad_file, [&] { SafetensorsFile file(folder.path()); });
  error_of(ErrorKind::bad_file, [&] { SafetensorsFile(folder.write("empty", "")); });
}

TEST(Safetensors, WrittenTensorsComeBackTheSame) {
  const TemporaryFolder folder;
  const auto path = folder / "latents.safetensors";
  const auto bytes = random_integers({3}, 1, 0, 255, DType::u8);
  const auto wide = random_tensor({2, 3, 5}, 2, DType::f64);
  const auto single = random_tensor({7}, 3);
  const auto brain = random_tensor({1, 3}, 4, DType::bf16);
  const auto whole = random_integers({2, 2}, 5, -9, 9, DType::i64);
  write_safetensors(path,
                    {{"bytes", bytes},
                     {"wide", wide},
                     {"single", single},
                     {"brain", brain},
                     {"whole", whole},
                     {"empty", Tensor(DType::f32, {0, 4})}},
                    {{"prompt", "a \"fox\"\n in snow \xe2\x9d\x84 \xff"}, {"seed", "42"}});
  const SafetensorsFile file(path);
  EXPECT_TRUE(bit_equal(file.get("bytes"), bytes));
  EXPECT_TRUE(bit_equal(file.get("wide"), wide));
  EXPECT_TRUE(bit_equal(file.get("single"), single));
  EXPECT_TRUE(bit_equal(file.get("brain"), brain));
  EXPECT_TRUE(bit_equal(file.get("whole"), whole));
  EXPECT_EQ(file.get("empty").shape(), (Shape{0, 4}));
  EXPECT_EQ(file.metadata().at("seed"), "42");
  EXPECT_EQ(file.metadata().at("prompt"), "a \"fox\"\n in snow \xe2\x9d\x84 \xef\xbf\xbd");
  // Padded, so that every tensor is aligned and nothing has to be copied on opening.
  std::uint64_t header = 0;
  std::memcpy(&header, read_bytes(path).data(), sizeof header);
  EXPECT_EQ(header % 8, 0U);
}

TEST(Safetensors, AnEmptySetOfTensorsIsAValidFile) {
  const TemporaryFolder folder;
  write_safetensors(folder / "none.safetensors", {});
  EXPECT_TRUE(SafetensorsFile(folder / "none.safetensors").names().empty());
}

TEST(Safetensors, ReadsFilesOfTheOfficialWriter) {
  const SafetensorsFile file(golden_path("wan_t2v_tiny/vae/diffusion_pytorch_model.safetensors"));
  EXPECT_FALSE(file.names().empty());
  for (const auto& name : file.names()) EXPECT_TRUE(all_finite(file.get(name))) << name;
}

}  // namespace
}  // namespace sparsevid
