#include "pipeline/settings.h"

#include <algorithm>
#include <cmath>

#include "base/cpu_features.h"
#include "base/error.h"
#include "base/log.h"
#include "core/cuda_runtime.h"
#include "io/atomic_file.h"
#include "pipeline/attention_choice.h"
#include "pipeline/recipe.h"
#include "pipeline/unused_options.h"

namespace sparsevid {
namespace {

constexpr int kMaxSteps = 1000;
constexpr double kMaxGuidance = 100;
/// Whose kernels fp8 products, attention in 8 bits and rounded products of f32 have.
constexpr int kHopper = 90;

DType dtype_of(Precision precision, Device device) {
  switch (precision) {
    case Precision::f32:
      return DType::f32;
    case Precision::bf16:
      return DType::bf16;
    case Precision::bf16x3:
    case Precision::tf32:
      fail(ErrorKind::bad_input, "--dtype: expected auto, f32 or bf16, found {}",
           precision == Precision::tf32 ? "tf32" : "bf16x3");
    case Precision::automatic:
      break;
  }
  return device == Device::cuda || cpu_isa() >= CpuIsa::avx512_bf16 ? DType::bf16 : DType::f32;
}

bool on_hopper(Device device) {
  return device == Device::cuda && cuda_compute_capability() == kHopper;
}

/// What the decoder computes in. Rounded products are the default where they are faster, and
/// nothing to be had elsewhere.
void choose_vae_arithmetic(Precision precision, Settings& settings) {
  settings.vae_dtype = precision == Precision::bf16 ? DType::bf16 : DType::f32;
  switch (precision) {
    case Precision::automatic:
      if (on_hopper(settings.device)) settings.vae_products = ops::F32Products::bf16x3;
      return;
    case Precision::f32:
    case Precision::bf16:
      return;
    case Precision::bf16x3:
      settings.vae_products = ops::F32Products::bf16x3;
      break;
    case Precision::tf32:
      settings.vae_products = ops::F32Products::tf32;
      break;
  }
  const std::string_view name = vae_arithmetic(settings);
  require(settings.device == Device::cuda, ErrorKind::bad_input,
          "--vae-dtype {}: expected --device cuda, found {}, where f32 is exact", name,
          to_string(settings.device));
  require(on_hopper(settings.device), ErrorKind::bad_input,
          "--vae-dtype {}: expected a GPU of compute capability 9.0, whose kernel there is, found "
          "{:.1f}",
          name, cuda_compute_capability() / 10.0);
}

/// `value` rounded down and up to multiple * k + offset, within [offset or multiple, max].
std::string nearest(int value, int multiple, int offset, int max) {
  const int lowest = offset > 0 ? offset : multiple;
  const int clamped = std::clamp(value, lowest, max);
  const int below = (clamped - offset) / multiple * multiple + offset;
  const int above = below + multiple;
  if (below == value || above > max || value < lowest) return fmt::format("{}", below);
  return fmt::format("{} or {}", below, above);
}

void check_side(const char* flag, int value, const RecipeLimits& limits) {
  require(value >= limits.size_multiple && value <= limits.max_side &&
              value % limits.size_multiple == 0,
          ErrorKind::bad_input, "{}: expected a multiple of {} up to {}, found {}; nearest: {}",
          flag, limits.size_multiple, limits.max_side, value,
          nearest(value, limits.size_multiple, 0, limits.max_side));
}

/// What the kernels for it take.
void check_8bit_attention(const Recipe& recipe, const Settings& settings) {
  constexpr const char* kFlag = "--attention-dtype 8bit";
  require(settings.device == Device::cuda, ErrorKind::bad_input,
          "{}: expected --device cuda, found {}", kFlag, to_string(settings.device));
  require(cuda_compute_capability() == kHopper, ErrorKind::bad_input,
          "{}: expected a GPU of compute capability 9.0, whose kernel there is, found {:.1f}",
          kFlag, cuda_compute_capability() / 10.0);
  require(settings.dtype == DType::bf16, ErrorKind::bad_input,
          "{}: expected --dtype bf16, found {}", kFlag, to_string(settings.dtype));
  const int head_dim = recipe.attention_head_dim();
  require(head_dim == 64 || head_dim == 128, ErrorKind::bad_input,
          "{}: expected a model of head_dim 64 or 128, found {}", kFlag, head_dim);
}

/// Whether cleaning leaves nothing, as of spaces of any kind.
bool blank(const Recipe& recipe, const std::string& prompt) {
  return recipe.tokenize(prompt).ids == recipe.tokenize("").ids;
}

int token_count(const Recipe& recipe, const std::string& prompt) {
  return static_cast<int>(recipe.tokenize(prompt).ids.size());
}

const char* to_string(Offload offload) {
  switch (offload) {
    case Offload::none:
      return "none";
    case Offload::text:
      return "text";
    case Offload::blocks:
      return "blocks";
  }
  return "?";
}

}  // namespace

Device device_of(const std::string& name) {
  if (name == "auto") {
    if (cuda_unavailable().empty()) return Device::cuda;
    if (cuda_runtime::gpu_left_out())
      warn(fmt::format("the CPU computes, since {}", cuda_unavailable()));
    return Device::cpu;
  }
  if (name == "cpu") return Device::cpu;
  require(name == "cuda", ErrorKind::bad_input, "--device: expected auto, cpu or cuda, found '{}'",
          name);
  require(cuda_unavailable().empty(), ErrorKind::bad_input, "--device cuda: {}",
          cuda_unavailable());
  return Device::cuda;
}

void check_size(const Recipe& recipe, int height, int width, int frames) {
  const RecipeLimits& limits = recipe.limits();
  check_side("--height", height, limits);
  check_side("--width", width, limits);
  require(frames >= 1 && frames <= limits.max_frames && (frames - 1) % limits.frame_multiple == 0,
          ErrorKind::bad_input,
          "--frames: expected {}k + 1 frames, up to {}, found {}; nearest: {}",
          limits.frame_multiple, limits.max_frames, frames,
          nearest(frames, limits.frame_multiple, 1, limits.max_frames));
}

std::string_view vae_arithmetic(const Settings& settings) {
  if (settings.vae_dtype == DType::f32) {
    if (settings.vae_products == ops::F32Products::bf16x3) return "bf16x3";
    if (settings.vae_products == ops::F32Products::tf32) return "tf32";
  }
  return to_string(settings.vae_dtype);
}

bool fp8_linears_run_here() { return cuda_compute_capability() == kHopper; }

Settings resolve_settings(const Recipe& recipe, const GenerateOptions& options) {
  const RecipeDefaults& defaults = recipe.defaults();
  Settings settings;
  settings.prompt = options.prompt;
  settings.negative_prompt = options.negative_prompt;
  settings.height = options.height.value_or(defaults.height);
  settings.width = options.width.value_or(defaults.width);
  settings.frames = options.frames.value_or(defaults.frames);
  settings.fps = options.fps.value_or(defaults.fps);
  settings.steps = options.steps.value_or(defaults.steps);
  settings.guidance = options.guidance.value_or(defaults.guidance);
  settings.flow_shift = options.flow_shift.value_or(recipe.scheduler().flow_shift());
  settings.legacy_sigmas = options.legacy_sigmas;
  settings.seed = options.seed;
  settings.device = device_of(options.device);
  settings.dtype = dtype_of(options.precision, settings.device);
  choose_vae_arithmetic(options.vae_precision, settings);
  settings.max_vram = options.max_vram;
  require(settings.device == Device::cuda || settings.max_vram == 0, ErrorKind::bad_input,
          "--max-vram: expected --device cuda, found {}", to_string(settings.device));
  settings.threads = options.threads == 0 ? available_cores() : options.threads;

  require(settings.threads >= 1 && settings.threads <= 4096, ErrorKind::bad_input,
          "--threads: expected 1 to 4096, found {}", settings.threads);
  require(std::isfinite(settings.fps) && settings.fps > 0 && settings.fps <= kMaxFps,
          ErrorKind::bad_input, "--fps: expected more than 0 and up to {}, found {}", kMaxFps,
          settings.fps);
  settings.decode_only = !options.from_latents.empty();
  if (settings.decode_only) {
    const auto unused = sampling_flags_in(options);
    if (!unused.empty())
      warn(fmt::format("{} {} no effect with --from-latents", fmt::join(unused, ", "),
                       unused.size() == 1 ? "has" : "have"));
    return settings;
  }

  settings.fp8_linears = options.fp8_linears;
  require(!settings.fp8_linears || settings.device == Device::cuda, ErrorKind::bad_input,
          "--linear fp8: expected --device cuda, found {}", to_string(settings.device));
  require(!settings.fp8_linears || fp8_linears_run_here(), ErrorKind::bad_input,
          "--linear fp8: expected a GPU of compute capability 9.0, whose kernel there is, found "
          "{:.1f}",
          cuda_compute_capability() / 10.0);
  settings.offload = options.offload;
  require(settings.device == Device::cuda || settings.offload == Offload::none,
          ErrorKind::bad_input, "--offload: expected --device cuda, found {}",
          to_string(settings.device));
  settings.attention = choose_attention(recipe, settings.height, options);
  settings.attention.in_8bit = options.attention_in_8bit;
  if (options.attention_in_8bit) check_8bit_attention(recipe, settings);
  require(!blank(recipe, settings.prompt), ErrorKind::bad_input,
          "--prompt: expected a description of the video, found an empty text");
  check_size(recipe, settings.height, settings.width, settings.frames);
  require(settings.steps >= 1 && settings.steps <= kMaxSteps, ErrorKind::bad_input,
          "--steps: expected 1 to {}, found {}", kMaxSteps, settings.steps);
  require(std::isfinite(settings.guidance) && settings.guidance >= 0 &&
              settings.guidance <= kMaxGuidance,
          ErrorKind::bad_input, "--guidance: expected 0 to {}, found {}", kMaxGuidance,
          settings.guidance);
  settings.text_tokens = {token_count(recipe, settings.prompt)};
  if (settings.guided())
    settings.text_tokens.push_back(token_count(recipe, settings.negative_prompt));
  return settings;
}

namespace {

std::string attention_dtype(const Settings& settings) {
  const std::string_view dtype = to_string(settings.dtype);
  if (!settings.attention.in_8bit) return std::string(dtype);
  return settings.attention.method == "svg1" ? fmt::format("8bit, bands in {}", dtype) : "8bit";
}

/// The name of a folder also when it is written as "." or with a slash at its end.
std::string name_of(const std::filesystem::path& folder) {
  std::error_code error;
  const auto whole = std::filesystem::absolute(folder, error).lexically_normal();
  return without_trailing_slash(error ? folder : whole).filename().string();
}

}  // namespace

Metadata to_metadata(const Settings& settings, const Recipe& recipe) {
  Metadata text = {
      {"prompt", settings.prompt},
      {"negative_prompt", settings.negative_prompt},
      {"seed", std::to_string(settings.seed)},
      {"height", std::to_string(settings.height)},
      {"width", std::to_string(settings.width)},
      {"frames", std::to_string(settings.frames)},
      {"fps", fmt::format("{}", settings.fps)},
      {"steps", std::to_string(settings.steps)},
      {"guidance", fmt::format("{}", settings.guidance)},
      {"flow_shift", fmt::format("{}", settings.flow_shift)},
      {"sigmas", settings.legacy_sigmas ? "legacy" : "current"},
      {"device", std::string(to_string(settings.device))},
      {"dtype", std::string(to_string(settings.dtype))},
      {"vae_dtype", std::string(vae_arithmetic(settings))},
      {"linear", settings.fp8_linears ? "fp8" : std::string(to_string(settings.dtype))},
      {"offload", to_string(settings.offload)},
      {"attention_dtype", attention_dtype(settings)},
      {"scheduler", recipe.scheduler().class_name()},
      {"model", name_of(recipe.folder())},
      {"family", std::string(recipe.family())},
  };
  for (const auto& [name, value] : describe(settings.attention)) text[name] = value;
  return text;
}

}  // namespace sparsevid
