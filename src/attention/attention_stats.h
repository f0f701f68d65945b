// What a method did in a run: density, health of the clusters, and on request its errors.
#pragma once

#include <string>
#include <vector>

namespace sparsevid {

/// One call of a method. Density is the share of the (query, key) pairs without padding that were
/// computed; a cluster that took part as its mean does not count.
struct AttentionCallStats {
  int step;
  int layer;
  int branch;
  bool dense;                        ///< by policy, or because the sequence is short
  std::vector<double> head_density;  ///< over the batch and heads; empty if dense (all 1)

  double density() const;
};

/// Health of the clusterings of a run (methods.md, "k-means that survives real data").
struct ClusterHealth {
  long clusterings = 0;      ///< of one head's queries or keys
  long clusters = 0;         ///< in all of them
  long empty_clusters = 0;   ///< of these
  double largest_share = 0;  ///< largest share of the tokens of a head found in one cluster
  double mean_largest_share = 0;
};

/// Errors on sampled queries of the sparse calls, against exact attention in fp64.
struct AttentionQuality {
  std::vector<double> recall;          ///< by sample: share of the true mass that was kept
  std::vector<double> relative_error;  ///< by call: ||output - exact|| / ||exact||

  double mean_recall() const;
  double recall_percentile(double percent) const;  ///< 0: the worst, 5: the 5th percentile
  double mean_relative_error() const;
};

struct AttentionStats {
  std::string method;
  std::vector<AttentionCallStats> calls;  ///< in order of time
  ClusterHealth clusters;
  AttentionQuality quality;  ///< empty unless asked for

  double density() const;         ///< mean over all calls; 1 if there were none
  double sparse_density() const;  ///< mean over the calls that were not dense; 1 if there were none
  double density_of_step(int step) const;
  double density_of_layer(int layer) const;
};

}  // namespace sparsevid
