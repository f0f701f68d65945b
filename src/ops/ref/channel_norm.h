// The truth of ops/channel_norm.h.
#pragma once

#include "ops/channel_norm.h"

namespace sparsevid::ops::ref {

void channel_norm(const ChannelNormParams& params, Context& context);

}  // namespace sparsevid::ops::ref
