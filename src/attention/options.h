// The settings of every attention method, as flags, the API and recipes fill them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sparsevid {

/// Each member names its flag on the command line. Shares are in [0, 1].
struct AttentionOptions {
  std::string method = "dense";  ///< --attention
  bool in_8bit = false;          ///< --attention-dtype 8bit; bands of svg1 stay in the model's type
  double dense_steps = 0.2;      ///< --dense-steps: share of the steps that stay dense
  double dense_layers = 0.03;    ///< --dense-layers: share of the layers that stay dense
  std::optional<double> density;  ///< --density: share of the (query, key) pairs to compute
  std::optional<double> top_p;  ///< --top-p: share of the estimated mass to keep; not with density
  double min_clusters = 0.1;    ///< --min-clusters: share of the key clusters kept with top_p
  int query_clusters = 0;       ///< --query-clusters; 0: by the number of tokens
  int key_clusters = 0;         ///< --key-clusters; 0: by the number of tokens
  int query_multiple = 0;       ///< --query-multiple: query clusters are rounded to such sizes; 0:
                                ///< semantic-tail's to what the device's kernel computes at once
  int key_multiple = 0;         ///< --key-multiple: the same of key clusters; 0: they are not, but
                                ///< semantic-tail's in 8 bits
  int kmeans_iterations = 6;    ///< --kmeans-iterations: of a fresh clustering
  int kmeans_iterations_warm = 1;  ///< --kmeans-iterations-warm: of a later one, from the clusters
                                   ///< before; 0: later ones are fresh too
  int recluster_every = 5;         ///< --recluster-every: steps between clusterings, which keep the
                                   ///< clusters and the chosen pairs; 0: never again
  bool cluster_in_dense_steps = false;  ///< --cluster-in-dense-steps
  int profile_rows = 64;                ///< --profile-rows: svg1, queries that choose a head's band
  bool tail = true;                     ///< --tail: semantic-tail, unchosen clusters as their means
  bool scores_from_queries = true;      ///< --scores-from-queries: semantic-tail
  bool error_per_token = true;          ///< --error-per-token: semantic-tail
  bool shared_threshold = true;         ///< --shared-threshold: semantic-tail, one for all heads
  std::uint64_t seed = 0;               ///< of the clusterings and of sampled rows
  int min_tokens = 256;                 ///< --min-tokens: shorter videos stay dense
  int quality_rows = 0;  ///< --attention-quality: queries a head and call compared with exact ones
};

/// What a method has to know of the run.
struct AttentionFacts {
  int layers;
  int steps;
};

/// Throws Error(bad_input) that names the flag, what was expected and what was found.
void validate(const AttentionOptions& options);

struct MethodDescription {
  std::string_view name;
  std::string_view summary;  ///< one line for --help
};
const std::vector<MethodDescription>& attention_methods();

}  // namespace sparsevid
