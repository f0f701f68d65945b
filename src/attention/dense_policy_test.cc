#include "attention/dense_policy.h"

#include <gtest/gtest.h>

namespace sparsevid {
namespace {

TEST(DensePolicy, counts_in_steps_and_layers_and_rounds_up) {
  const DensePolicy policy(.2, 50, .03, 40);
  EXPECT_EQ(policy.dense_steps(), 10);
  EXPECT_EQ(policy.dense_layers(), 2);
  EXPECT_TRUE(policy.dense(9, 39));
  EXPECT_FALSE(policy.dense(10, 39));
  EXPECT_TRUE(policy.dense(49, 1));
  EXPECT_FALSE(policy.dense(49, 2));
}

TEST(DensePolicy, keeps_nothing_dense_when_both_shares_are_zero) {
  EXPECT_FALSE(DensePolicy(0, 50, 0, 40).dense(0, 0));
}

TEST(DensePolicy, keeps_everything_dense_at_a_share_of_one) {
  EXPECT_TRUE(DensePolicy(1, 30, 0, 8).dense(29, 7));
}

TEST(DensePolicy, is_not_one_too_many_where_the_product_is_whole_but_not_in_binary) {
  for (int steps = 1; steps <= 200; ++steps)
    for (int dense = 0; dense <= steps; ++dense)
      EXPECT_EQ(DensePolicy(static_cast<double>(dense) / steps, steps, 0, 1).dense_steps(), dense)
          << dense << " of " << steps;
}

}  // namespace
}  // namespace sparsevid
