// The attention method of a generation: defaults of the model, then of the checkpoint, then flags.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "attention/options.h"
#include "core/device.h"
#include "sparsevid/info.h"
#include "sparsevid/options.h"

namespace sparsevid {

class Recipe;

/// Every setting by name, with a flag of the same name.
const std::vector<AttentionSettingInfo>& attention_settings();

/// "top_p" -> "--top-p"
std::string flag_of(std::string setting);

/// Changes one setting. Throws Error(bad_input) for an unknown name or a value not of its kind.
void set_attention(AttentionOptions& options, const std::string& name, double value);

/// The released settings of the method for this model and height, changed by the checkpoint's own
/// recommendations where it recommends this method, and by the caller's. Validated.
AttentionOptions choose_attention(const Recipe& recipe, int height, const GenerateOptions& options);

/// The settings that matter to the method as text, keys "attention", "attention.density", ...
std::map<std::string, std::string> describe(const AttentionOptions& options);

struct AttentionSize {
  int heads;
  int head_dim;
  int layers;
  int branches;
  std::int64_t tokens;
  Device device = Device::cpu;
};
/// Estimate of what a method keeps over a run, and of the scratch it takes for one call.
struct AttentionBytes {
  std::uint64_t kept = 0;
  std::uint64_t scratch = 0;
};
AttentionBytes attention_bytes(const AttentionOptions& options, const AttentionSize& size);

}  // namespace sparsevid
