#include "ops/conv3d.h"

#include <gtest/gtest.h>

#include <tuple>

#include "core/transfer.h"
#include "ops/conv3d_cases.h"

namespace sparsevid::ops {
namespace {

class Conv3dCases : public ::testing::TestWithParam<Conv3dCase> {};

TEST_P(Conv3dCases, EveryImplementationAgreesWithTheReference) {
  const Conv3dInputs inputs(GetParam());
  expect_agreement(conv3d_implementations(), inputs.params, inputs.params.out,
                   agreement(inputs.params.out.dtype()));
}

INSTANTIATE_TEST_SUITE_P(All, Conv3dCases, ::testing::ValuesIn(conv3d_cases()), case_name);

/// Cases of f32 with the products that their weight may be multiplied by.
using RoundedCase = std::tuple<Conv3dCase, F32Products>;

class RoundedConv3dCases : public ::testing::TestWithParam<RoundedCase> {
 protected:
  RoundedConv3dCases() : inputs(std::get<0>(GetParam())) {
    inputs.weight.products = std::get<1>(GetParam());
  }
  Conv3dInputs inputs;
};

/// Relative L2 distance from exact products. bf16x3 leaves out 3 x 2^-18 of each at the most, and
/// tensor cores cut each of some hundred sums of 2^-24 of their size: together less than 2^-15.
/// tf32: two factors rounded to 11 bits, or one of them cut, are off by less than 2^-10 on average.
double distance_of(F32Products products) {
  return products == F32Products::tf32 ? 0x1p-10 : 0x1p-15;
}

TEST_P(RoundedConv3dCases, EveryImplementationIsAsCloseAsItsProductsAre) {
  expect_agreement(conv3d_implementations(), inputs.params, inputs.params.out,
                   distance_of(inputs.weight.products));
}

TEST_P(RoundedConv3dCases, TheCpuMultipliesExactly) {
  Conv3dInputs exact(std::get<0>(GetParam()));
  for (const auto& entry : conv3d_implementations().entries()) {
    Context context;
    if (entry.device != Device::cpu || !entry.refusal(inputs.params, context).empty()) continue;
    SCOPED_TRACE(entry.name);
    entry.run(inputs.params, context);
    entry.run(exact.params, context);
    EXPECT_EQ(max_abs_error(inputs.params.out, exact.params.out), 0);
  }
}

std::vector<Conv3dCase> f32_cases() {
  std::vector<Conv3dCase> cases = conv3d_cases();
  std::erase_if(cases, [](const Conv3dCase& c) { return c.dtype != DType::f32; });
  return cases;
}

INSTANTIATE_TEST_SUITE_P(All, RoundedConv3dCases,
                         ::testing::Combine(::testing::ValuesIn(f32_cases()),
                                            ::testing::Values(F32Products::bf16x3,
                                                              F32Products::tf32)),
                         [](const auto& info) {
                           return std::string(std::get<0>(info.param).name) +
                                  (std::get<1>(info.param) == F32Products::tf32 ? "Tf32"
                                                                                : "Bf16x3");
                         });

TEST(Conv3d, AWeightServesProductsOfEveryKindInTurn) {
  // Each kind wants it packed in another way, where it stays packed: on the GPU itself.
  const Device device = cuda_unavailable().empty() ? Device::cuda : Device::cpu;
  const Conv3dInputs inputs({"", 2, 6, 6, 32, 8, {1, 3, 3}, DType::f32});
  Context on_cpu;
  conv3d_implementations().entries().back().run(inputs.params, on_cpu);
  Context context(device);
  const Tensor x = copy_to(device, inputs.x, context);
  const Tensor bias = copy_to(device, inputs.bias, context);
  const Tensor out(DType::f32, inputs.out->shape(), device);
  const Tensor plain = copy_to(device, inputs.weight_memory, context);
  ConvWeight weight{plain, nullptr};
  for (const auto products : {F32Products::exact, F32Products::bf16x3, F32Products::tf32,
                              F32Products::bf16x3, F32Products::exact}) {
    weight.products = products;
    conv3d({.x = x, .weight = &weight, .bias = bias, .out = out}, context);
    const double tolerance =
        products == F32Products::exact ? agreement(DType::f32) : distance_of(products);
    EXPECT_TRUE(close(copy_to(Device::cpu, out, context), inputs.out, tolerance));
  }
}

TEST(Conv3d, GivesTheSameForFramesInTwoChunks) {
  // Causal: the second chunk sees the last two frames of the first instead of padding.
  const Tensor x = random_tensor({6, 5, 7, 8}, 1);
  const Tensor weights = random_tensor({4, 8, 3, 3, 3}, 2);
  const ConvWeight weight{weights, nullptr};
  const Tensor whole(DType::f32, {6, 5, 7, 4});
  const Tensor chunks(DType::f32, {6, 5, 7, 4});
  Context context;
  conv3d({x, &weight, {}, {1, 1, 1}, {2, 1, 1}, {0, 1, 1}, whole}, context);
  conv3d({x.view().slice(0, 0, 3),
          &weight,
          {},
          {1, 1, 1},
          {2, 1, 1},
          {0, 1, 1},
          chunks.view().slice(0, 0, 3)},
         context);
  conv3d({x.view().slice(0, 1, 5),
          &weight,
          {},
          {1, 1, 1},
          {0, 1, 1},
          {0, 1, 1},
          chunks.view().slice(0, 3, 3)},
         context);
  EXPECT_TRUE(close(chunks, whole, agreement(DType::f32)));
}

TEST(Conv3d, KeepsItsPackedWeightsWithTheWeight) {
  const Conv3dInputs inputs({"", 2, 6, 6, 8, 8, {1, 3, 3}, DType::f32});
  Context context;
  conv3d(inputs.params, context);
  const void* packed = inputs.weight.packed.get();
  const long before = context.arena.allocations();
  conv3d(inputs.params, context);
  EXPECT_EQ(inputs.weight.packed.get(), packed);
  EXPECT_EQ(context.arena.allocations(), before);
}

}  // namespace
}  // namespace sparsevid::ops
