#include "testing/golden.h"

#include <cstdlib>

namespace sparsevid {

std::filesystem::path golden_folder() {
  const char* folder = std::getenv("SPARSEVID_GOLDEN_FOLDER");
  return folder != nullptr ? folder : SPARSEVID_GOLDEN_FOLDER;
}

std::filesystem::path golden_path(std::string_view relative) { return golden_folder() / relative; }

Golden read_golden(std::string_view relative) { return Golden(golden_path(relative)); }

Json read_golden_json(std::string_view relative) { return Json::read(golden_path(relative)); }

}  // namespace sparsevid
