#include "ops/forced_implementations.h"

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/error.h"
#include "ops/activate.h"
#include "ops/attention.h"
#include "ops/attention_8bit.h"
#include "ops/band_attention.h"
#include "ops/band_profile.h"
#include "ops/block_sparse_attention.h"
#include "ops/block_sparse_attention_8bit.h"
#include "ops/channel_norm.h"
#include "ops/choose_clusters.h"
#include "ops/cluster_errors.h"
#include "ops/cluster_order.h"
#include "ops/cluster_scores.h"
#include "ops/cluster_statistics.h"
#include "ops/conv3d.h"
#include "ops/copy.h"
#include "ops/embedding.h"
#include "ops/gated_residual.h"
#include "ops/guidance.h"
#include "ops/kmeans.h"
#include "ops/layer_norm.h"
#include "ops/layer_norm_modulate.h"
#include "ops/linear.h"
#include "ops/linear_combination.h"
#include "ops/linear_fp8.h"
#include "ops/pack_bits.h"
#include "ops/pair_density.h"
#include "ops/patchify.h"
#include "ops/quantize_rows.h"
#include "ops/relative_position_bias.h"
#include "ops/rms_norm.h"
#include "ops/rms_norm_rope.h"
#include "ops/round_clusters.h"
#include "ops/to_rgb8.h"
#include "ops/unpatchify.h"
#include "ops/upsample_nearest.h"

namespace sparsevid::ops {
namespace {

constexpr const char* kVariable = "SPARSEVID_FORCE";

struct Forced {
  std::string_view op;
  std::string_view implementation;
};

std::vector<Forced> forced() {
  std::vector<Forced> all;
  const char* value = std::getenv(kVariable);
  std::string_view rest = value == nullptr ? "" : value;
  while (!rest.empty()) {
    const auto comma = rest.find(',');
    const auto item = rest.substr(0, comma);
    rest = comma == std::string_view::npos ? "" : rest.substr(comma + 1);
    const auto colon = item.find(':');
    require(colon != std::string_view::npos, ErrorKind::bad_input,
            "{}: expected op:implementation, found '{}'", kVariable, item);
    all.push_back({item.substr(0, colon), item.substr(colon + 1)});
  }
  return all;
}

struct Op {
  std::string_view name;
  std::vector<std::string_view> implementations;
};

template <typename... Params>
std::vector<Op> ops_of(const ImplementationList<Params>&... lists) {
  return {{lists.op(), lists.names()}...};
}

std::vector<Op> every_op() {
  return ops_of(
      activate_implementations(), attention_8bit_implementations(), attention_implementations(),
      band_attention_implementations(), band_profile_implementations(),
      block_sparse_attention_8bit_implementations(), block_sparse_attention_implementations(),
      channel_norm_implementations(), choose_clusters_implementations(),
      cluster_errors_implementations(), cluster_order_implementations(),
      cluster_scores_implementations(), cluster_statistics_implementations(),
      conv3d_implementations(), copy_implementations(), embedding_implementations(),
      gated_residual_implementations(), guidance_implementations(), kmeans_implementations(),
      layer_norm_implementations(), layer_norm_modulate_implementations(),
      linear_combination_implementations(), linear_fp8_implementations(), linear_implementations(),
      pack_bits_implementations(), pair_density_implementations(), patchify_implementations(),
      quantize_rows_implementations(), relative_position_bias_implementations(),
      rms_norm_implementations(), rms_norm_rope_implementations(), round_clusters_implementations(),
      to_rgb8_implementations(), unpack_bits_implementations(), unpatchify_implementations(),
      upsample_nearest_implementations());
}

}  // namespace

std::string_view forced_implementation(std::string_view op) {
  for (const Forced& each : forced())
    if (each.op == op) return each.implementation;
  return {};
}

void check_forced_implementations() {
  const std::vector<Forced> wanted = forced();
  if (wanted.empty()) return;
  const std::vector<Op> ops = every_op();
  for (const Forced& each : wanted) {
    const auto op = std::find_if(ops.begin(), ops.end(),
                                 [&](const Op& known) { return known.name == each.op; });
    if (op == ops.end()) {
      std::vector<std::string_view> names;
      names.reserve(ops.size());
      for (const Op& known : ops) names.push_back(known.name);
      fail(ErrorKind::bad_input, "{}: expected one of the ops {}, found '{}'", kVariable,
           fmt::join(names, ", "), each.op);
    }
    const auto& known = op->implementations;
    require(std::find(known.begin(), known.end(), each.implementation) != known.end(),
            ErrorKind::bad_input, "{}: {}: expected one of {}, found '{}'", kVariable, each.op,
            fmt::join(known, ", "), each.implementation);
  }
}

}  // namespace sparsevid::ops
