#include "io/checkpoint.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "io/json.h"
#include "io/one_line.h"

namespace sparsevid {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 2> kStems = {"diffusion_pytorch_model", "model"};
constexpr std::string_view kTensors = ".safetensors";
constexpr std::string_view kIndex = ".safetensors.index.json";

std::vector<std::string> files_in(const fs::path& folder) {
  std::error_code error;
  require(fs::exists(folder, error), ErrorKind::bad_file, "{}: no such folder", folder.string());
  require(fs::is_directory(folder, error), ErrorKind::bad_file,
          "{}: expected a folder, found a file", folder.string());
  std::vector<std::string> names;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    names.push_back(it->path().filename().string());
  }
  require(!error, ErrorKind::bad_file, "{}: cannot be listed: {}", folder.string(),
          error.message());
  require(!names.empty(), ErrorKind::bad_file, "{}: the folder is empty", folder.string());
  std::sort(names.begin(), names.end());
  return names;
}

/// "fp16" of `<stem>.fp16.safetensors` and of `<stem>.safetensors.index.fp16.json`; else empty.
std::string_view variant_of(std::string_view name, std::string_view stem) {
  if (!name.starts_with(stem)) return {};
  name.remove_prefix(stem.size());
  std::string_view suffix = kTensors;
  if (name.starts_with(".safetensors.index.") && name.ends_with(".json")) {
    name.remove_prefix(kTensors.size() + std::string_view(".index").size());
    suffix = ".json";
  }
  if (!name.starts_with('.') || !name.ends_with(suffix) || name.size() <= suffix.size() + 1) {
    return {};
  }
  const auto variant = name.substr(1, name.size() - suffix.size() - 1);
  // With a '-' it is a shard: "model.fp16-00001-of-00002.safetensors".
  return variant.find_first_of(".-") == std::string_view::npos ? variant : std::string_view();
}

/// The file to open: the index of shards, or the only file.
std::string entry_point(const fs::path& folder) {
  const auto names = files_in(folder);
  const auto exists = [&](const std::string& name) {
    return std::binary_search(names.begin(), names.end(), name);
  };
  for (const auto stem : kStems) {
    for (const auto suffix : {kIndex, kTensors}) {
      auto name = std::string(stem).append(suffix);
      if (exists(name)) return name;
    }
  }
  std::vector<std::string> variants;
  for (const auto& name : names) {
    for (const auto stem : kStems) {
      if (!variant_of(name, stem).empty()) variants.push_back(name);
    }
  }
  if (variants.size() == 1) return variants.front();
  require(variants.empty(), ErrorKind::bad_file,
          "{}: expected one set of weights, found several variants: {}", folder.string(),
          fmt::join(variants, ", "));
  const bool pickled = std::any_of(names.begin(), names.end(), [](const std::string& name) {
    return name.ends_with(".bin") || name.ends_with(".pt");
  });
  fail(ErrorKind::bad_file,
       "{}: expected diffusion_pytorch_model.safetensors or model.safetensors or their index, "
       "found {}",
       folder.string(),
       pickled ? "only pickled PyTorch weights, which are not read"
               : fmt::format("{}", fmt::join(names, ", ")));
}

using WeightMap = std::map<std::string, std::string>;  // tensor -> shard

WeightMap read_index(const fs::path& path) {
  const auto map = Json::read(path).object("weight_map");
  WeightMap result;
  for (const auto& [name, shard] : map.raw().items()) {
    const auto file = map.get_string(name);
    require(!file.empty() && fs::path(file).filename() == file && file != "." && file != "..",
            ErrorKind::bad_file, "{}: tensor '{}': expected the name of a file, found '{}'",
            map.where(), one_line(name), one_line(file));
    result.emplace(name, file);
  }
  require(!result.empty(), ErrorKind::bad_file, "{}: expected tensors, found none", map.where());
  return result;
}

void check_shards_exist(const fs::path& folder, const std::vector<std::string>& shards) {
  std::vector<std::string> missing;
  for (const auto& shard : shards) {
    if (!fs::exists(folder / shard)) missing.push_back(one_line(shard));
  }
  require(missing.empty(), ErrorKind::bad_file, "{}: {} of {} files are missing: {}",
          folder.string(), missing.size(), shards.size(), fmt::join(missing, ", "));
}

}  // namespace

Checkpoint::Checkpoint(const std::filesystem::path& folder) : folder_(folder) {
  const auto entry = entry_point(folder);
  if (!entry.ends_with(".json")) {
    files_.push_back(std::make_unique<SafetensorsFile>(folder / entry));
  } else {
    const auto index = read_index(folder / entry);
    std::vector<std::string> shards;
    for (const auto& [name, shard] : index) shards.push_back(shard);
    std::sort(shards.begin(), shards.end());
    shards.erase(std::unique(shards.begin(), shards.end()), shards.end());
    check_shards_exist(folder, shards);
    for (const auto& shard : shards) {
      files_.push_back(std::make_unique<SafetensorsFile>(folder / shard));
    }
    std::vector<std::string> lacking;
    for (const auto& [name, shard] : index) {
      const auto at = std::lower_bound(shards.begin(), shards.end(), shard) - shards.begin();
      const auto* file = files_[static_cast<std::size_t>(at)].get();
      if (!file->has(name))
        lacking.push_back(fmt::format("{} (in {})", one_line(name), one_line(shard)));
      holder_.emplace(name, file);
    }
    require(lacking.empty(), ErrorKind::bad_file,
            "{}: {} tensors of the index are not in their files: {}", (folder / entry).string(),
            lacking.size(), fmt::join(lacking, ", "));
  }
  for (const auto& file : files_) {
    for (const auto& name : file->names()) holder_.emplace(name, file.get());
  }
  for (const auto& [name, file] : holder_) names_.push_back(name);
}

const TensorView* Checkpoint::find(std::string_view name) const {
  const auto it = holder_.find(name);
  return it == holder_.end() ? nullptr : it->second->find(name);
}

std::string Checkpoint::file_of(std::string_view name) const {
  const auto it = holder_.find(name);
  return it == holder_.end() ? folder_.string() : it->second->source();
}

std::uint64_t Checkpoint::total_bytes() const {
  std::uint64_t total = 0;
  for (const auto& [dtype, bytes] : bytes_by_dtype()) total += bytes;
  return total;
}

std::map<std::string, std::uint64_t> Checkpoint::bytes_by_dtype() const {
  std::map<std::string, std::uint64_t> result;
  for (const auto& [name, file] : holder_) {
    result[std::string(file->dtype_name(name))] += file->bytes_of(name);
  }
  return result;
}

}  // namespace sparsevid
