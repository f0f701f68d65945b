#include "models/dit/wan_config.h"

#include "base/error.h"

namespace sparsevid {

WanConfig WanConfig::parse(const Json& json) {
  constexpr int kLargest = 1 << 20;
  WanConfig config{};
  const auto patch = json.get_ints("patch_size", 1, 16);
  require(patch.size() == 3, ErrorKind::bad_file, "{}: patch_size: expected 3 numbers, found {}",
          json.where(), patch.size());
  config.patch_size = {patch[0], patch[1], patch[2]};
  config.num_attention_heads = json.get_int("num_attention_heads", 1, 1024);
  config.attention_head_dim = json.get_int("attention_head_dim", 2, 1024);
  config.in_channels = json.get_int("in_channels", 1, 1024);
  config.out_channels = json.get_int("out_channels", config.in_channels, 1, 1024);
  config.text_dim = json.get_int("text_dim", 1, kLargest);
  config.freq_dim = json.get_int("freq_dim", 2, kLargest);
  config.ffn_dim = json.get_int("ffn_dim", 1, kLargest);
  config.num_layers = json.get_int("num_layers", 1, 1024);
  config.cross_attn_norm = json.get_bool("cross_attn_norm", true);
  config.eps = json.get_double("eps", 1e-6, 0, 1);
  config.rope_max_seq_len = json.get_int("rope_max_seq_len", 1024, 1, kLargest);

  require(config.attention_head_dim % 2 == 0 && config.freq_dim % 2 == 0, ErrorKind::bad_file,
          "{}: attention_head_dim and freq_dim: expected even numbers, found {} and {}",
          json.where(), config.attention_head_dim, config.freq_dim);
  const std::string qk_norm = json.get_string("qk_norm", "rms_norm_across_heads");
  require(qk_norm == "rms_norm_across_heads", ErrorKind::bad_file,
          "{}: qk_norm: expected rms_norm_across_heads, found {}", json.where(), qk_norm);
  require(!json.has("image_dim") && !json.has("added_kv_proj_dim"), ErrorKind::bad_file,
          "{}: expected a text-to-video transformer, found image_dim or added_kv_proj_dim "
          "(image-to-video checkpoints are not supported yet)",
          json.where());
  require(config.in_channels == config.out_channels, ErrorKind::bad_file,
          "{}: expected in_channels and out_channels to agree, found {} and {} (image-to-video "
          "checkpoints are not supported yet)",
          json.where(), config.in_channels, config.out_channels);
  return config;
}

}  // namespace sparsevid
