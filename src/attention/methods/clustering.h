// The clusters of one call: k-means on its schedule, and what the methods derive from the clusters.
#pragma once

#include <map>
#include <tuple>

#include "attention/methods/sparse_method.h"

namespace sparsevid {

/// Clusters of queries and of keys. The last cluster of each is the text, where there is any.
struct Clusters {
  TensorView q_order;     ///< [heads, seq_len] i32, as in ops/block_sparse_attention.h
  TensorView k_order;     ///< [heads, seq_len] i32
  TensorView q_offsets;   ///< [heads, q_clusters + 1] i32
  TensorView k_offsets;   ///< [heads, k_clusters + 1] i32
  TensorView q_mean;      ///< [heads, q_clusters, head_dim] f32
  TensorView k_mean;      ///< [heads, k_clusters, head_dim] f32
  TensorView v_mean;      ///< [heads, k_clusters, head_dim] f32; undefined unless asked for, and on
                          ///< a CPU, where the kernel takes the means, not written, nor is k_mean
                          ///< unless must_choose
  TensorView k_variance;  ///< [heads, k_clusters, head_dim] f32; undefined unless asked for
  TensorView chosen;      ///< [heads, q_clusters, k_clusters] u8, of the last choice, or for it
  bool must_choose;       ///< that choice was for other clusters: q_mean and k_variance are there
  int video_q_clusters;
  int video_k_clusters;

  std::int64_t heads() const { return q_order.size(0); }
  std::int64_t tokens() const { return q_order.size(1); }
  std::int64_t q_clusters() const { return q_offsets.size(1) - 1; }
  std::int64_t k_clusters() const { return k_offsets.size(1) - 1; }
  /// Tokens of cluster `c` under one of the offsets.
  static int size(const TensorView& offsets, std::int64_t head, std::int64_t c) {
    const auto* row = offsets.as<std::int32_t>() + head * offsets.stride(0);
    return row[c + 1] - row[c];
  }
};

/// Keeps the clusterings of a run by (layer, branch, element of the batch).
class Clustering {
 public:
  explicit Clustering(const AttentionOptions& options) : options_(options) {}

  struct Wanted {
    bool choice = true;  ///< the caller will choose if it has to
    bool v_mean = false;
    bool k_variance = false;  ///< where clusters have to be chosen
  };
  /// The clusters of a call, re-clustered if their time has come. All views live in the arena, but
  /// those of offsets, which live until the next call for the same (layer, branch, element).
  Clusters update(const HeadsCall& call, const Wanted& wanted, Context& context,
                  ClusterHealth& health, Readback& readback);
  /// Makes what update() keeps of such a call, so that a later update() asks for no memory.
  void reserve(const HeadsCall& call, const Context& context);
  /// To be called once clusters.chosen is written, where it had to be.
  void keep_choice(const HeadsCall& call, const Clusters& clusters, Context& context);

 private:
  /// Kept between calls, so in few bits: tokens are put in order again when they are wanted.
  struct Side {
    Tensor labels;  // pack_bits.h, of [heads, tokens]
    Tensor offsets;
  };
  struct State {
    bool clustered = false;
    int last_step = 0;  // of the last clustering
    Shape shape;        // [heads, tokens]; what follows is made for it
    bool has_choice = false;
    Tensor chosen;  // pack_bits.h
    Side q;
    Side k;
  };
  enum class Start { fresh, warm };
  /// Clusters the video's rows of x and writes their means, the warm start's too, to mean
  /// [heads, clusters, head_dim], and the new order to `order`, which holds the last one for a warm
  /// start.
  void cluster_side(const HeadsCall& call, const TensorView& x, Start start, bool keys,
                    const TensorView& mean, const TensorView& order, Side& side, Context& context,
                    ClusterHealth& health, Readback& readback) const;
  State& state_of(const HeadsCall& call, Device device);
  /// Whether a choice is used again before the next clustering.
  bool keeps_choices() const { return options_.recluster_every != 1; }

  AttentionOptions options_;
  std::map<std::tuple<int, int, int>, State> states_;
};

}  // namespace sparsevid
