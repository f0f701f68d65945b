// What one generation does, every value decided.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "attention/options.h"
#include "core/device.h"
#include "core/dtype.h"
#include "io/image_io.h"
#include "ops/conv_weight.h"
#include "sparsevid/options.h"

namespace sparsevid {

class Recipe;

constexpr double kMaxFps = 240;

struct Settings {
  std::string prompt;
  std::string negative_prompt;
  int height = 0;
  int width = 0;
  int frames = 0;
  double fps = 0;
  int steps = 0;
  double guidance = 0;
  double flow_shift = 0;
  bool legacy_sigmas = false;
  std::uint64_t seed = 0;
  Device device = Device::cpu;
  DType dtype = DType::f32;
  DType vae_dtype = DType::f32;
  ops::F32Products vae_products = ops::F32Products::exact;  ///< of a decoder in f32
  bool fp8_linears = false;
  std::uint64_t max_vram = 0;  ///< 0: what is free
  Offload offload = Offload::none;
  int streamed_blocks = 0;       ///< of the transformer; see fit_to()
  std::vector<int> text_tokens;  ///< of each branch's prompt
  int threads = 1;
  AttentionOptions attention;
  bool decode_only = false;  ///< latents come from a file

  bool guided() const { return guidance > 1; }
};

/// "cpu", "cuda", or "auto": a GPU where one can be used. Throws Error(bad_input) for another name,
/// and for "cuda" with the reason why there is none.
Device device_of(const std::string& name);

/// The options with the recipe's defaults filled in. Throws Error(bad_input) naming the flag, what
/// it takes and what was found.
Settings resolve_settings(const Recipe& recipe, const GenerateOptions& options);

/// What the decoder computes in, as --vae-dtype calls it: "f32", "bf16x3", "tf32", "bf16".
std::string_view vae_arithmetic(const Settings& settings);

/// Whether this machine's GPU has a kernel for Settings::fp8_linears.
bool fp8_linears_run_here();

/// Prompt, seed and settings as text, for files' metadata.
Metadata to_metadata(const Settings& settings, const Recipe& recipe);

/// Throws Error(bad_input) unless height, width and frames are what the recipe can make; the
/// message names the nearest values that are.
void check_size(const Recipe& recipe, int height, int width, int frames);

}  // namespace sparsevid
