// The slow truth of attention_8bit(), which rounds nothing.
#pragma once

#include "ops/attention_8bit.h"

namespace sparsevid::ops::ref {

void attention_8bit(const Attention8bitParams& params, Context& context);

}  // namespace sparsevid::ops::ref
