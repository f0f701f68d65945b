// Prompt to video file.
#pragma once

#include "pipeline/recipe.h"
#include "pipeline/run_report.h"
#include "sparsevid/observer.h"
#include "sparsevid/options.h"

namespace sparsevid {

/// Checks everything that can be checked first: settings, paths, encoder, space on disk, memory.
/// Then text, sampling, and decoding straight into the file. From the end of sampling until the
/// file is complete the latents are on disk; Errors of that time say how to go on from them.
RunReport generate(const Recipe& recipe, const GenerateOptions& options, Observer* observer);

}  // namespace sparsevid
