// Wan 2.1 text to video (WanPipeline).
#pragma once

#include <memory>

#include "io/model_folder.h"
#include "pipeline/recipe.h"

namespace sparsevid {

/// Throws Error(bad_file) when a component is missing, its config is broken, or the parts do not
/// fit each other.
std::unique_ptr<Recipe> open_wan(ModelFolder folder);

}  // namespace sparsevid
