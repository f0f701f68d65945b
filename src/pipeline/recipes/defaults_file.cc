#include "pipeline/recipes/defaults_file.h"

#include <array>
#include <string_view>

#include "base/error.h"

namespace sparsevid {

namespace {

constexpr std::array<std::string_view, 7> kKeys = {
    "height", "width", "num_frames", "fps", "num_inference_steps", "guidance_scale", "attention"};

}  // namespace

void apply_defaults_file(const Json& json, const RecipeLimits& limits, RecipeDefaults& defaults) {
  json.expect_keys(kKeys);
  const int multiple = limits.size_multiple;
  defaults.height = json.get_int("height", defaults.height, multiple, limits.max_side);
  defaults.width = json.get_int("width", defaults.width, multiple, limits.max_side);
  defaults.frames = json.get_int("num_frames", defaults.frames, 1, limits.max_frames);
  require(defaults.height % multiple == 0 && defaults.width % multiple == 0, ErrorKind::bad_file,
          "{}: height and width: expected multiples of {}, found {} x {}", json.where(), multiple,
          defaults.height, defaults.width);
  require((defaults.frames - 1) % limits.frame_multiple == 0, ErrorKind::bad_file,
          "{}: num_frames: expected {}k + 1, found {}", json.where(), limits.frame_multiple,
          defaults.frames);
  defaults.fps = json.get_double("fps", defaults.fps, 0.1, 240);
  defaults.steps = json.get_int("num_inference_steps", defaults.steps, 1, 1000);
  defaults.guidance = json.get_double("guidance_scale", defaults.guidance, 0, 100);
  if (!json.has("attention")) return;
  const Json attention = json.object("attention");
  defaults.attention = attention.get_string("method", defaults.attention);
  for (const auto& name : attention.keys())
    if (name != "method") defaults.attention_settings[name] = attention.get_double(name, -1e9, 1e9);
}

}  // namespace sparsevid
