#include "nn/weight_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include "io/safetensors.h"
#include "nn/linear.h"
#include "testing/compare.h"
#include "testing/random_tensor.h"
#include "testing/temporary_folder.h"

namespace sparsevid::nn {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class WeightTableTest : public ::testing::Test {
 protected:
  Checkpoint checkpoint(const std::vector<std::pair<std::string, TensorView>>& tensors) {
    write_safetensors(folder_ / "model.safetensors", tensors);
    return Checkpoint(folder_.path());
  }
  bool is_mapped(const Checkpoint& from, std::string_view name, const TensorView& view) {
    return view.data() == from.find(name)->data();
  }

  TemporaryFolder folder_;
  Context context_;
  Tensor f32_ = random_tensor({4, 3}, 1);
  Tensor bf16_ = random_tensor({5}, 2, DType::bf16);
};

TEST_F(WeightTableTest, UsesTheMappedFileWhereTheTypeFits) {
  const auto from = checkpoint({{"a", f32_}, {"b", bf16_}});
  TensorView a, b;
  WeightTable table(DType::f32);
  table.add("a", {4, 3}, a);
  table.add("b", {5}, b);
  const LoadedWeights loaded = table.load(from, context_);
  EXPECT_TRUE(is_mapped(from, "a", a));
  EXPECT_TRUE(bit_equal(a, f32_));
  EXPECT_EQ(b.dtype(), DType::f32);
  EXPECT_TRUE(bit_equal(b, convert(bf16_, DType::f32)));
  EXPECT_EQ(loaded.mapped_bytes, 48U);
  EXPECT_EQ(loaded.owned_bytes, 20U);
  EXPECT_EQ(loaded.bytes(), table.bytes());
}

TEST_F(WeightTableTest, KeepsF32WhereTheModelAsksForIt) {
  const auto from = checkpoint({{"a", f32_}, {"b", bf16_}});
  TensorView a, b;
  WeightTable table(DType::bf16);
  table.add("a", {4, 3}, a, Precision::f32);
  table.add("b", {5}, b, Precision::f32);
  const LoadedWeights loaded = table.load(from, context_);
  EXPECT_TRUE(bit_equal(a, f32_));
  EXPECT_TRUE(bit_equal(b, convert(bf16_, DType::f32)));
}

TEST_F(WeightTableTest, ConvertsToTheComputeTypeAndLeavesStoredTablesAlone) {
  Tensor half(DType::f16, {2});
  half->as<f16>()[0].bits = 0x3e00;  // 1.5
  half->as<f16>()[1].bits = 0xc000;  // -2
  const auto from = checkpoint({{"a", f32_}, {"half", half}, {"table", half}});
  TensorView a, converted, stored;
  WeightTable table(DType::bf16);
  table.add("a", {4, 3}, a);
  table.add("half", {2}, converted);
  table.add("table", {2}, stored, Precision::stored);
  const LoadedWeights loaded = table.load(from, context_);
  EXPECT_TRUE(bit_equal(a, convert(f32_, DType::bf16)));
  EXPECT_TRUE(bit_equal(converted, tensor_of({2}, {1.5, -2}, DType::bf16)));
  EXPECT_TRUE(is_mapped(from, "table", stored));
}

TEST_F(WeightTableTest, ReportsEverythingThatIsWrongAtOnce) {
  const Tensor numbers = random_integers({3}, 1, 0, 9, DType::i64);
  const auto from = checkpoint(
      {{"a", f32_}, {"b", bf16_}, {"extra.one", bf16_}, {"extra.two", bf16_}, {"n", numbers}});
  TensorView a, b, c, d, n;
  WeightTable table(DType::f32);
  table.add("a", {3, 4}, a);
  table.add("b", {5}, b);
  table.add("c", {1}, c);
  table.add("d", {1}, d);
  table.add("n", {3}, n);
  const WeightMismatch mismatch = table.compare(from);
  EXPECT_THAT(mismatch.missing, ElementsAre("c", "d"));
  EXPECT_THAT(mismatch.unexpected, ElementsAre("extra.one", "extra.two"));
  EXPECT_THAT(mismatch.wrong, ElementsAre("a (expected [3, 4], found [4, 3])",
                                          "n (expected a floating-point type, found i64)"));
  try {
    table.load(from, context_);
    FAIL() << "expected an Error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::bad_file);
    EXPECT_THAT(error.what(), HasSubstr(folder_.path().string()));
    EXPECT_THAT(error.what(), HasSubstr("2 missing: c, d; 2 unexpected: extra.one, extra.two; 2 of "
                                        "another shape or type: a (expected [3, 4]"));
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
  }
}

TEST_F(WeightTableTest, AllowsWhatIsOptionalAliasedOrIgnored) {
  const auto from = checkpoint(
      {{"alias.of.a", f32_}, {"blocks.0.unused", bf16_}, {"blocks.1.unused", bf16_}, {"x", bf16_}});
  TensorView a, b;
  WeightTable table(DType::f32);
  table.add("a", {4, 3}, a);
  table.add_alias("a", "alias.of.a");
  table.add_optional("b", {7}, b);
  table.ignore("blocks.*");
  table.ignore("x");
  const LoadedWeights loaded = table.load(from, context_);
  EXPECT_TRUE(bit_equal(a, f32_));
  EXPECT_FALSE(b.defined());
  EXPECT_THAT(loaded.owned, IsEmpty());
}

TEST_F(WeightTableTest, ChecksTheShapeOfAnOptionalTensorThatIsThere) {
  const auto from = checkpoint({{"a", f32_}});
  TensorView a;
  WeightTable table(DType::f32);
  table.add_optional("a", {7}, a);
  EXPECT_THAT(table.compare(from).wrong, ElementsAre("a (expected [7], found [4, 3])"));
}

TEST_F(WeightTableTest, PassingWeightsAreThereWhileTheyAreUsed) {
  const auto from = checkpoint({{"a", f32_}, {"b", bf16_}});
  TensorView a, b;
  WeightTable table(DType::bf16);
  const int group = table.begin_group(Residence::passing);
  table.add("a", {4, 3}, a);
  table.add("b", {5}, b);
  table.end_group();
  LoadedWeights loaded = table.load(from, context_);
  EXPECT_EQ(loaded.bytes(), 0U);
  EXPECT_FALSE(a.defined());
  for (int time = 0; time < 2; ++time) {
    const auto used = loaded.use(group, context_);
    EXPECT_TRUE(bit_equal(a, convert(f32_, DType::bf16)));
    EXPECT_TRUE(bit_equal(b, bf16_));
  }
}

TEST_F(WeightTableTest, StreamedGroupsTakeTurnsInTwoPlaces) {
  constexpr int kGroups = 5;
  std::vector<Tensor> stored;
  std::vector<std::pair<std::string, TensorView>> tensors;
  for (int i = 0; i < kGroups; ++i) {
    stored.push_back(random_tensor({4, 3}, static_cast<std::uint64_t>(i)));
    tensors.emplace_back("w" + std::to_string(i), stored.back());
  }
  const auto from = checkpoint(tensors);
  std::array<TensorView, kGroups> views;
  WeightTable table(DType::bf16);
  for (std::size_t i = 0; i < kGroups; ++i) {
    table.begin_group(Residence::streamed);
    table.add(tensors[i].first, {4, 3}, views[i]);
    table.end_group();
  }
  LoadedWeights loaded = table.load(from, context_);
  EXPECT_EQ(loaded.owned_bytes, 2 * 256U);
  EXPECT_EQ(loaded.host_bytes(), kGroups * 256U);
  EXPECT_EQ(table.bytes_on(Device::cuda).resident, 2 * 256U);
  EXPECT_EQ(table.bytes_on(Device::cuda).host, kGroups * 256U);
  EXPECT_EQ(views[0].data(), views[2].data());
  EXPECT_NE(views[0].data(), views[1].data());
  const auto expect = [&](int i) {
    const auto used = loaded.use(i, context_);
    const auto index = static_cast<std::size_t>(i);
    EXPECT_TRUE(bit_equal(views[index], convert(stored[index], DType::bf16))) << i;
  };
  for (int pass = 0; pass < 3; ++pass)
    for (int i = 0; i < kGroups; ++i) expect(i);
  // Out of turn, as after a pass that was not finished.
  for (const int i : {0, 1, 0, 3, 4, 2}) expect(i);
}

TEST_F(WeightTableTest, StopsOnRequest) {
  const auto from = checkpoint({{"a", f32_}});
  TensorView a;
  WeightTable table(DType::f32);
  table.add("a", {4, 3}, a);
  const std::atomic<bool> cancel = true;
  context_.cancel = &cancel;
  try {
    table.load(from, context_);
    FAIL() << "expected an Error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::cancelled);
  }
}

TEST_F(WeightTableTest, LoadsALinearLayerThatMultiplies) {
  const auto from =
      checkpoint({{"proj.weight", f32_}, {"proj.bias", tensor_of({4}, {1, 2, 3, 4})}});
  Linear proj;
  WeightTable table(DType::f32);
  proj.declare(table, "proj", 3, 4);
  const LoadedWeights loaded = table.load(from, context_);
  const Tensor out(DType::f32, {1, 4});
  proj.apply(tensor_of({1, 3}, {0, 1, 0}), out, context_);
  const float* weight = f32_->as<float>();
  // One product and one sum in f32.
  EXPECT_TRUE(close(
      out, tensor_of({1, 4}, {1 + weight[1], 2 + weight[4], 3 + weight[7], 4 + weight[10]}), 1e-6));
  EXPECT_GT(context_.profile.seconds("linear"), 0);
}

}  // namespace
}  // namespace sparsevid::nn
