#include "ops/forced_implementations.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <optional>
#include <string>

#include "ops/copy.h"
#include "ops/linear.h"
#include "testing/expect_error.h"
#include "testing/random_tensor.h"

namespace sparsevid::ops {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class ForcedImplementations : public ::testing::Test {
 protected:
  ForcedImplementations() {
    if (const char* value = std::getenv("SPARSEVID_FORCE")) before_ = value;
  }
  ~ForcedImplementations() override {
    unsetenv("SPARSEVID_FORCE");
    if (before_) setenv("SPARSEVID_FORCE", before_->c_str(), 1);
  }
  static void force(const char* value) { setenv("SPARSEVID_FORCE", value, 1); }
  static std::string refusal() {
    return error_of(ErrorKind::bad_input, check_forced_implementations);
  }

 private:
  std::optional<std::string> before_;
};

TEST_F(ForcedImplementations, AreFoundByTheirOp) {
  const std::string first(linear_implementations().names().front());  // differs between devices
  const std::string both = "copy:ref,linear:" + first;
  force(both.c_str());
  EXPECT_EQ(forced_implementation("copy"), "ref");
  EXPECT_EQ(forced_implementation("linear"), first);
  EXPECT_EQ(forced_implementation("linear_fp8"), "");
  EXPECT_NO_THROW(check_forced_implementations());
  force("");
  EXPECT_EQ(forced_implementation("copy"), "");
  EXPECT_NO_THROW(check_forced_implementations());
}

TEST_F(ForcedImplementations, OfAnUnknownOpAreRefusedWithTheKnownOnes) {
  force("copy:ref,atention:ref");
  EXPECT_THAT(refusal(), AllOf(HasSubstr("SPARSEVID_FORCE"), HasSubstr("found 'atention'"),
                               HasSubstr("attention"), HasSubstr("upsample_nearest")));
}

TEST_F(ForcedImplementations, OfAnUnknownNameAreRefusedWithTheKnownOnes) {
  force("copy:reference");
  EXPECT_THAT(refusal(), AllOf(HasSubstr("SPARSEVID_FORCE: copy"), HasSubstr("found 'reference'"),
                               HasSubstr("ref")));
}

TEST_F(ForcedImplementations, AreAnOpAndAName) {
  force("copy");
  EXPECT_THAT(refusal(), HasSubstr("SPARSEVID_FORCE: expected op:implementation, found 'copy'"));
}

TEST_F(ForcedImplementations, ThatCannotRunAreNamedWithTheVariable) {
  force("copy:nothing");
  const Tensor x = random_tensor({4}, 1);
  const Tensor out = random_tensor({4}, 2);
  Context context;
  EXPECT_THAT(error_of(ErrorKind::bad_input, [&] { copy({.x = x, .out = out}, context); }),
              HasSubstr("SPARSEVID_FORCE: copy:nothing cannot run"));
}

}  // namespace
}  // namespace sparsevid::ops
