#include "ops/embedding.h"

#include <cmath>

#include <gtest/gtest.h>

#include "ops/embedding_cases.h"

namespace sparsevid::ops {
namespace {

class EmbeddingCases : public ::testing::TestWithParam<EmbeddingCase> {};

TEST_P(EmbeddingCases, EveryImplementationAgreesWithTheReference) {
  const EmbeddingInputs inputs(GetParam());
  expect_agreement(embedding_implementations(), inputs.params, inputs.params.out, 0);
  EXPECT_TRUE(inputs.out.gaps_untouched());
}

INSTANTIATE_TEST_SUITE_P(All, EmbeddingCases, ::testing::ValuesIn(embedding_cases()), case_name);

TEST(Embedding, RefusesIdsOutsideTheVocabulary) {
  const Tensor table = random_tensor({10, 4}, 1);
  const Tensor out(DType::f32, {2, 4});
  for (const double id : {-1.0, 10.0}) {
    const Tensor ids = tensor_of({2}, {3, id}, DType::i32);
    Context context;
    for (const auto& entry : embedding_implementations().entries()) {
      if (entry.device == Device::cuda) {
        if (!entry.refusal({ids, table, out}, context).empty()) continue;
        entry.run({ids, table, out}, context);
        EXPECT_TRUE(std::isnan(out->as<float>()[4]));
        continue;
      }
      try {
        entry.run({ids, table, out}, context);
        FAIL() << entry.name << " took id " << id;
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::bad_input);
        EXPECT_NE(std::string(error.what()).find("position 1"), std::string::npos);
      }
    }
  }
}

}  // namespace
}  // namespace sparsevid::ops
