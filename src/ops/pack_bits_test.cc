#include "ops/pack_bits.h"

#include <gtest/gtest.h>

#include "ops/agreement.h"
#include "ops/pack_bits_cases.h"
#include "testing/compare.h"
#include "testing/random_tensor.h"

namespace sparsevid::ops {
namespace {

class PackBitsCases : public ::testing::TestWithParam<PackBitsCase> {};

TEST_P(PackBitsCases, EveryImplementationPacksTheSameAndGivesItBack) {
  const auto& [name, dtype, bits, count] = GetParam();
  Tensor values = random_integers({count}, 3, 0, (1 << bits) - 1);
  if (dtype == DType::u8) {
    const Tensor bytes(DType::u8, {count});
    for (std::int64_t i = 0; i < count; ++i)
      bytes->as<std::uint8_t>()[i] = static_cast<std::uint8_t>(element(values, i));
    values = clone(bytes);
  }
  const Tensor packed = Tensor(DType::u8, {packed_bytes(count, bits)});
  Context context;
  const PackBitsParams pack{values, bits, packed};
  pack_bits_implementations().entries().back().run(pack, context);
  const Tensor expected = clone(packed);
  with_each_implementation(pack_bits_implementations(), pack,
                           [&] { EXPECT_TRUE(bit_equal(packed, expected)); });
  const Tensor back(dtype, {count});
  with_each_implementation(unpack_bits_implementations(), UnpackBitsParams{expected, bits, back},
                           [&] { EXPECT_TRUE(bit_equal(back, values)); });
}

INSTANTIATE_TEST_SUITE_P(All, PackBitsCases, ::testing::ValuesIn(pack_bits_cases()), case_name);

TEST(PackBits, PutsTheLowestBitFirst) {
  const Tensor values = tensor_of({5}, {1, 2, 7, 0, 5}, DType::i32);
  const Tensor packed(DType::u8, {3});
  with_each_implementation(pack_bits_implementations(), PackBitsParams{values, 3, packed}, [&] {
    // 001, 010, 111, 000, 101 from the right.
    EXPECT_EQ(to_vector(packed), (std::vector<double>{0b11010001, 0b01010001, 0}));
  });
}

}  // namespace
}  // namespace sparsevid::ops
