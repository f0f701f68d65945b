// Splits a call into its tokens without padding and the padding, which attends only to itself.
#pragma once

#include <functional>

#include "attention/attention_method.h"

namespace sparsevid {

using Attend = std::function<void(const AttentionCall& call, const TensorView& out)>;

/// Dense attention of a call, whatever its segments.
void attend_densely(const AttentionCall& call, const TensorView& out, bool in_8bit,
                    Context& context);

/// Runs every padding segment densely by itself, and `attend` once on all other tokens: a call
/// whose layout has no padding. Copies only where padding stands between other tokens.
void attend_without_padding(const AttentionCall& call, const TensorView& out, Context& context,
                            const Attend& attend);

}  // namespace sparsevid
