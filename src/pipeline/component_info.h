// What inspect says about one component.
#pragma once

#include <functional>

#include "io/checkpoint.h"
#include "io/model_folder.h"
#include "nn/weight_table.h"
#include "sparsevid/info.h"

namespace sparsevid {

/// Sizes, types and parameters from the headers. `check` parses the config, adds facts, and tells
/// how the files differ; what it throws becomes a problem of the component.
ComponentInfo describe_component(
    const ModelFolder& folder, const std::string& name,
    const std::function<nn::WeightMismatch(ComponentInfo&, const Checkpoint&)>& check);

}  // namespace sparsevid
