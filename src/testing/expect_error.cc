#include "testing/expect_error.h"

#include <gtest/gtest.h>

namespace sparsevid {

std::string error_of(ErrorKind kind, const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    std::string message = error.what();
    EXPECT_EQ(static_cast<int>(error.kind()), static_cast<int>(kind)) << message;
    EXPECT_FALSE(message.empty());
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    return message;
  } catch (const std::exception& error) {
    ADD_FAILURE() << "expected sparsevid::Error, found " << error.what();
    return error.what();
  }
  ADD_FAILURE() << "expected sparsevid::Error, nothing was thrown";
  return {};
}

}  // namespace sparsevid
