#include "attention/factory/factory.h"

#include <gtest/gtest.h>

#include "attention/default_options.h"
#include "sparsevid/error.h"

namespace sparsevid {
namespace {

TEST(Factory, makes_every_method_that_the_help_lists) {
  for (const auto& method : attention_methods()) {
    const auto made = make_attention_method(default_options(method.name, "", 320), {8, 30});
    EXPECT_EQ(made->stats().method, method.name);
    EXPECT_FALSE(method.summary.empty());
  }
}

TEST(Factory, refuses_options_that_are_not_valid) {
  AttentionOptions options = default_options("svg1", "", 320);
  options.density = 2;
  EXPECT_THROW(make_attention_method(options, {8, 30}), Error);
}

}  // namespace
}  // namespace sparsevid
