#include "attention/options.h"

#include <algorithm>

#include "base/error.h"

namespace sparsevid {
namespace {

void require_share(double value, std::string_view flag) {
  require(value >= 0 && value <= 1, ErrorKind::bad_input,
          "{}: expected a share between 0 and 1, found {}", flag, value);
}

void require_positive_share(const std::optional<double>& value, std::string_view flag) {
  if (!value) return;
  require(*value > 0 && *value <= 1, ErrorKind::bad_input,
          "{}: expected a share above 0 and up to 1, found {}", flag, *value);
}

void require_between(int value, int low, int high, std::string_view flag) {
  require(value >= low && value <= high, ErrorKind::bad_input,
          "{}: expected a whole number from {} to {}, found {}", flag, low, high, value);
}

std::string method_names() {
  std::string names;
  for (const auto& method : attention_methods())
    names += (names.empty() ? "" : ", ") + std::string(method.name);
  return names;
}

}  // namespace

const std::vector<MethodDescription>& attention_methods() {
  static const std::vector<MethodDescription> methods = {
      {"dense", "every query sees every key"},
      {"svg1", "a band per head, over space or over time (Sparse VideoGen)"},
      {"svg2", "chosen pairs of k-means clusters, the rest dropped (Sparse VideoGen2)"},
      {"semantic-tail", "chosen pairs of clusters, the rest kept as means; closest to dense"},
  };
  return methods;
}

void validate(const AttentionOptions& options) {
  const auto& methods = attention_methods();
  require(std::any_of(methods.begin(), methods.end(),
                      [&](const auto& method) { return method.name == options.method; }),
          ErrorKind::bad_input, "--attention: expected one of {}, found \"{}\"", method_names(),
          options.method);
  require_share(options.dense_steps, "--dense-steps");
  require_share(options.dense_layers, "--dense-layers");
  require_positive_share(options.density, "--density");
  require_positive_share(options.top_p, "--top-p");
  require(!(options.density && options.top_p), ErrorKind::bad_input,
          "--density {} and --top-p {}: expected only one of them", options.density.value_or(0),
          options.top_p.value_or(0));
  require(!(options.method == "svg1" && options.top_p), ErrorKind::bad_input,
          "--top-p: svg1 expects --density, found --top-p {}", options.top_p.value_or(0));
  require_share(options.min_clusters, "--min-clusters");
  require_between(options.query_clusters, 0, 1 << 16, "--query-clusters");
  require_between(options.key_clusters, 0, 1 << 16, "--key-clusters");
  require_between(options.query_multiple, 0, 1 << 16, "--query-multiple");
  require_between(options.key_multiple, 0, 1 << 16, "--key-multiple");
  require_between(options.kmeans_iterations, 1, 1000, "--kmeans-iterations");
  require_between(options.kmeans_iterations_warm, 0, 1000, "--kmeans-iterations-warm");
  require_between(options.recluster_every, 0, 1 << 20, "--recluster-every");
  require_between(options.profile_rows, 1, 1 << 16, "--profile-rows");
  require_between(options.min_tokens, 0, 1 << 30, "--min-tokens");
  require_between(options.quality_rows, 0, 1 << 16, "--attention-quality");
}

}  // namespace sparsevid
