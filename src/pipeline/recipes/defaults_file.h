// sparsevid.json in a model folder: recommended settings for that checkpoint.
#pragma once

#include "io/json.h"
#include "pipeline/recipe.h"

namespace sparsevid {

/// Replaces what the file names: height, width, num_frames, fps, num_inference_steps,
/// guidance_scale, and attention: {"method": ..., settings by name}. Throws Error(bad_file), also
/// for a key that it does not know.
void apply_defaults_file(const Json& json, const RecipeLimits& limits, RecipeDefaults& defaults);

}  // namespace sparsevid
