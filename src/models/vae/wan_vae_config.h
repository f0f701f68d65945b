// vae/config.json of AutoencoderKLWan (Wan 2.1).
#pragma once

#include <vector>

#include "io/json.h"

namespace sparsevid {

/// Field names are the config's keys, their spelling included.
struct WanVaeConfig {
  int base_dim;
  int z_dim;
  std::vector<int> dim_mult;
  int num_res_blocks;
  std::vector<bool> temperal_downsample;
  std::vector<double> latents_mean;
  std::vector<double> latents_std;

  int levels() const { return static_cast<int>(dim_mult.size()); }
  /// Pixels per latent along height and width.
  int spatial_compression() const { return 1 << (levels() - 1); }
  /// Frames per latent frame after the first.
  int temporal_compression() const;

  /// Throws Error(bad_file) for keys out of range and for the Wan 2.2 variant.
  static WanVaeConfig parse(const Json& json);
};

}  // namespace sparsevid
