// What a caller may ask for. Whatever is left unset comes from the checkpoint.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#pragma GCC visibility push(default)
namespace sparsevid {

/// The type large matrices and activations are computed in.
enum class Precision {
  automatic,  ///< what the device is fast in; see GenerateOptions
  f32,
  bf16,
  /// f32 whose convolutions multiply each factor as the sum of two bf16: on a GPU of compute
  /// capability 9.0, for the decoder.
  bf16x3,
  /// f32 whose convolutions round their factors to 11 bits, as PyTorch does by default: there too.
  tf32,
};

/// What stays out of a GPU's memory until it is needed. Each includes those before it.
enum class Offload {
  none,
  text,    ///< the text encoder's layers, which are brought one after the other
  blocks,  ///< as many of the transformer's blocks as do not fit; they wait in host memory
};

struct GenerateOptions {
  std::string prompt;
  std::string negative_prompt;
  /// .mp4, .webm or .gif; anything without an extension becomes a folder of PNG frames.
  std::string output;

  std::optional<int> height;  ///< pixels
  std::optional<int> width;   ///< pixels
  std::optional<int> frames;  ///< 4k + 1 for Wan
  std::optional<double> fps;
  std::optional<int> steps;        ///< denoising steps
  std::optional<double> guidance;  ///< classifier-free guidance scale; 1 or less turns it off
  std::optional<double> flow_shift;
  std::uint64_t seed = 0;
  bool legacy_sigmas = false;  ///< UniPC noise levels as diffusers up to 0.36 spaced them

  /// Of text encoder and transformer. Automatic: bf16 where the device multiplies it natively, f32
  /// elsewhere.
  Precision precision = Precision::automatic;
  /// Of the decoder. Automatic: bf16x3 on a GPU that has it, f32 elsewhere.
  Precision vae_precision = Precision::automatic;
  /// On a GPU: multiply the transformer's large matrices in fp8 (e4m3, a scale for each row).
  bool fp8_linears = false;
  /// On a GPU: self-attention in 8 bits (int8 queries and keys, e4m3 weights and values), but for
  /// the bands of svg1.
  bool attention_in_8bit = false;
  std::string device = "auto";  ///< cpu, cuda, or auto: a GPU where one can be used
  /// Bytes of a GPU's memory that the run may take; 0: what is free.
  std::uint64_t max_vram = 0;
  Offload offload = Offload::none;
  int threads = 0;  ///< 0: all cores this process may use

  std::string attention;  ///< a name of attention_method_list(); empty: the checkpoint's default
  std::map<std::string, double> attention_settings;  ///< by the names of attention_setting_list()

  std::string report;         ///< path of a JSON run report; empty: none
  std::string trace;          ///< path of a Chrome trace of what ran when; empty: none
  bool save_latents = false;  ///< keep the latents also when decoding succeeds
  std::string latents_path;   ///< where; empty: "<output>.latents.safetensors"
  /// Decode these saved latents instead of sampling; prompt and sampling settings are not used.
  std::string from_latents;
  bool check_memory = true;  ///< refuse at once what would not fit
  /// Set it from any thread or a signal handler to stop at the next layer; may be null.
  const std::atomic<bool>* cancel = nullptr;
};

}  // namespace sparsevid
#pragma GCC visibility pop
