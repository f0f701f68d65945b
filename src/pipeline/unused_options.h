// Options that a run passes over.
#pragma once

#include <string>
#include <vector>

#include "sparsevid/options.h"

namespace sparsevid {

/// The flags of those that say how to make latents, for a run that is given its latents.
std::vector<std::string> sampling_flags_in(const GenerateOptions& options);

}  // namespace sparsevid
