// Which recipe runs a checkpoint folder.
#pragma once

#include <filesystem>
#include <memory>

#include "pipeline/recipe.h"

namespace sparsevid {

/// Opens a folder and picks the recipe by `_class_name` of its model_index.json. Reads configs and
/// headers, no weights. Throws Error(bad_file) for what is no checkpoint, a family that is not
/// supported, and configs that are broken; tensors are left to Recipe::components() and loading.
std::unique_ptr<Recipe> open_recipe(const std::filesystem::path& folder);

}  // namespace sparsevid
