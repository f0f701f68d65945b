// transformer/config.json of WanTransformer3DModel.
#pragma once

#include <array>

#include "io/json.h"

namespace sparsevid {

/// Field names are the config's keys.
struct WanConfig {
  std::array<int, 3> patch_size;
  int num_attention_heads;
  int attention_head_dim;
  int in_channels;
  int out_channels;
  int text_dim;
  int freq_dim;
  int ffn_dim;
  int num_layers;
  bool cross_attn_norm;
  double eps;
  int rope_max_seq_len;

  int dim() const { return num_attention_heads * attention_head_dim; }
  int patch_volume() const { return patch_size[0] * patch_size[1] * patch_size[2]; }

  /// Throws Error(bad_file) for keys out of range and for variants that are not supported yet
  /// (image conditioning).
  static WanConfig parse(const Json& json);
};

}  // namespace sparsevid
