// A recipe as inspect shows it.
#pragma once

#include "pipeline/recipe.h"
#include "sparsevid/info.h"

namespace sparsevid {

ModelInfo describe_model(const Recipe& recipe);

}  // namespace sparsevid
