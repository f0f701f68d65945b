// Checks that bad input is refused with the right kind of error and a one-line message.
#pragma once

#include <functional>
#include <string>

#include "sparsevid/error.h"

namespace sparsevid {

/// The message of the Error that `body` throws. Records a test failure when it throws nothing,
/// something else, another kind, or a message that is empty or longer than a line.
std::string error_of(ErrorKind kind, const std::function<void()>& body);

}  // namespace sparsevid
