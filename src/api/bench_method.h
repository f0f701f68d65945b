// Timing of a whole attention method, clustering and permuting included.
#pragma once

#include <vector>

#include "core/context.h"
#include "sparsevid/bench.h"

namespace sparsevid {

/// The method against dense attention, then each zone it spent its time in. Times are means over
/// `steps` calls of one layer, since not every step clusters; dense is the median of calls between
/// them.
std::vector<BenchResult> measure_method(const AttentionBenchOptions& options, Context& context);

}  // namespace sparsevid
