#include "pipeline/recipes/registry.h"

#include <array>
#include <vector>

#include "base/error.h"
#include "pipeline/recipes/wan.h"

namespace sparsevid {
namespace {

struct Family {
  std::string_view pipeline_class;
  std::unique_ptr<Recipe> (*open)(ModelFolder folder);
};

constexpr std::array kFamilies = {
    Family{"WanPipeline", open_wan},
};

}  // namespace

std::unique_ptr<Recipe> open_recipe(const std::filesystem::path& path) {
  ModelFolder folder(path);
  std::vector<std::string_view> known;
  for (const auto& family : kFamilies) {
    if (family.pipeline_class == folder.pipeline_class()) return family.open(std::move(folder));
    known.push_back(family.pipeline_class);
  }
  fail(ErrorKind::bad_file, "{}: _class_name: expected {}, found '{}', which is not supported",
       (path / "model_index.json").string(), fmt::join(known, " or "), folder.pipeline_class());
}

}  // namespace sparsevid
