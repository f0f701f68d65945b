#include "pipeline/latents_file.h"

#include <cmath>
#include <cstring>

#include "base/error.h"
#include "io/atomic_file.h"
#include "io/safetensors.h"

namespace sparsevid {
namespace {

constexpr const char* kTensorName = "latents";
constexpr const char* kFormatKey = "sparsevid.format";
constexpr const char* kFormat = "latents-1";

}  // namespace

void write_latents(const std::filesystem::path& path, const TensorView& latents,
                   const Metadata& metadata) {
  Metadata all = metadata;
  all[kFormatKey] = kFormat;
  write_safetensors(path, {{kTensorName, latents}}, all);
}

LatentsFile read_latents(const std::filesystem::path& path, int channels) {
  const SafetensorsFile file(path);
  const TensorView& stored = file.get(kTensorName);
  require(stored.dtype() == DType::f32 && stored.rank() == 4 && stored.size(0) == channels &&
              stored.numel() > 0,
          ErrorKind::bad_file, "{}: latents: expected f32 [{}, frames, height, width], found {} {}",
          path.string(), channels, to_string(stored.dtype()), stored.shape().str());
  LatentsFile result;
  result.latents = Tensor(DType::f32, stored.shape());
  std::memcpy(result.latents->data(), stored.data(), stored.bytes());
  const float* values = result.latents->as<float>();
  for (std::int64_t i = 0; i < stored.numel(); ++i)
    require(std::isfinite(values[i]), ErrorKind::bad_file,
            "{}: latents: expected finite values, found {} at {}", path.string(), values[i], i);
  for (const auto& [key, value] : file.metadata())
    if (key != kFormatKey) result.metadata[key] = value;
  return result;
}

std::filesystem::path latents_path_for(const std::filesystem::path& output) {
  std::filesystem::path path = without_trailing_slash(output);
  return path.replace_extension(".latents.safetensors");
}

}  // namespace sparsevid
