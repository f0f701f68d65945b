// The reference values of tests/golden, found wherever the tests run.
#pragma once

#include <filesystem>
#include <string_view>

#include "io/json.h"
#include "io/safetensors.h"

namespace sparsevid {

/// tests/golden of the source tree; the environment variable SPARSEVID_GOLDEN_FOLDER replaces it.
std::filesystem::path golden_folder();

/// tests/golden/<relative>, e.g. "wan_t2v_tiny/tokenizer/spiece.model".
std::filesystem::path golden_path(std::string_view relative);

/// The tensors of one golden file, by name.
using Golden = SafetensorsFile;
Golden read_golden(std::string_view relative);
Json read_golden_json(std::string_view relative);

}  // namespace sparsevid
