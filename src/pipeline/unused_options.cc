#include "pipeline/unused_options.h"

#include <utility>

#include "pipeline/attention_choice.h"

namespace sparsevid {

std::vector<std::string> sampling_flags_in(const GenerateOptions& options) {
  const std::pair<const char*, bool> all[] = {
      {"--prompt", !options.prompt.empty()},
      {"--negative-prompt", !options.negative_prompt.empty()},
      {"--height", options.height.has_value()},
      {"--width", options.width.has_value()},
      {"--frames", options.frames.has_value()},
      {"--steps", options.steps.has_value()},
      {"--guidance", options.guidance.has_value()},
      {"--flow-shift", options.flow_shift.has_value()},
      {"--seed", options.seed != 0},
      {"--sigmas", options.legacy_sigmas},
      {"--attention", !options.attention.empty()},
      {"--dtype", options.precision != Precision::automatic},
      {"--linear", options.fp8_linears},
      {"--offload", options.offload != Offload::none},
      {"--attention-dtype", options.attention_in_8bit},
      {"--save-latents", options.save_latents || !options.latents_path.empty()}};
  std::vector<std::string> flags;
  for (const auto& [flag, given] : all)
    if (given) flags.emplace_back(flag);
  for (const auto& [name, value] : options.attention_settings) flags.push_back(flag_of(name));
  return flags;
}

}  // namespace sparsevid
