#include "models/vae/wan_vae_config.h"

#include <algorithm>

#include "base/error.h"

namespace sparsevid {

int WanVaeConfig::temporal_compression() const {
  return 1 << std::count(temperal_downsample.begin(), temperal_downsample.end(), true);
}

WanVaeConfig WanVaeConfig::parse(const Json& json) {
  constexpr double kLargest = 1e6;
  WanVaeConfig config{};
  config.base_dim = json.get_int("base_dim", 2, 4096);
  config.z_dim = json.get_int("z_dim", 1, 1024);
  config.dim_mult = json.get_ints("dim_mult", 1, 64);
  config.num_res_blocks = json.get_int("num_res_blocks", 1, 64);
  config.temperal_downsample = json.get_bools("temperal_downsample");
  config.latents_mean = json.get_doubles("latents_mean", -kLargest, kLargest);
  config.latents_std = json.get_doubles("latents_std", 1e-6, kLargest);

  const auto same = [&](const char* key, std::size_t found, std::size_t expected) {
    require(found == expected, ErrorKind::bad_file, "{}: {}: expected {} entries, found {}",
            json.where(), key, expected, found);
  };
  require(config.dim_mult.size() >= 2 && config.dim_mult.size() <= 6, ErrorKind::bad_file,
          "{}: dim_mult: expected 2 to 6 entries, found {}", json.where(), config.dim_mult.size());
  same("temperal_downsample", config.temperal_downsample.size(), config.dim_mult.size() - 1);
  same("latents_mean", config.latents_mean.size(), static_cast<std::size_t>(config.z_dim));
  same("latents_std", config.latents_std.size(), static_cast<std::size_t>(config.z_dim));
  for (const int multiple : config.dim_mult) {
    require(config.base_dim * multiple % 2 == 0, ErrorKind::bad_file,
            "{}: base_dim times dim_mult: expected even channel counts, found {} x {}",
            json.where(), config.base_dim, multiple);
  }
  require(!json.get_bool("is_residual", false) && !json.has("patch_size") &&
              !json.has("decoder_base_dim"),
          ErrorKind::bad_file,
          "{}: expected the autoencoder of Wan 2.1, found is_residual, patch_size or "
          "decoder_base_dim (Wan 2.2 is not supported yet)",
          json.where());
  require(!json.has("attn_scales") || json.get_doubles("attn_scales", 0, 1).empty(),
          ErrorKind::bad_file, "{}: attn_scales: expected an empty list", json.where());
  return config;
}

}  // namespace sparsevid
