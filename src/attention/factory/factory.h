// The one place that knows every method's class.
#pragma once

#include <memory>

#include "attention/attention_method.h"
#include "attention/options.h"

namespace sparsevid {

/// A method for one generation. Throws Error(bad_input) as validate(options) does.
std::unique_ptr<AttentionMethod> make_attention_method(const AttentionOptions& options,
                                                       const AttentionFacts& facts);

}  // namespace sparsevid
