#include "attention/methods/clustering.h"

#include <algorithm>
#include <bit>

#include "attention/default_options.h"
#include "core/transfer.h"
#include "ops/cluster_order.h"
#include "ops/cluster_statistics.h"
#include "ops/copy.h"
#include "ops/kmeans.h"
#include "ops/kmeans_seed.h"
#include "ops/pack_bits.h"
#include "ops/round_clusters.h"

namespace sparsevid {
namespace {

/// A seed of its own for each (layer, branch, element, queries or keys).
std::uint64_t side_seed(std::uint64_t seed, const HeadsCall& call, bool keys) {
  for (const int part : {call.layer, call.branch, call.batch, keys ? 1 : 0})
    seed = ops::mix_bits(seed ^ static_cast<std::uint64_t>(part));
  return seed;
}

void note_health(const TensorView& counts, std::int64_t tokens, ClusterHealth& health) {
  for (std::int64_t head = 0; head < counts.size(0); ++head) {
    const auto* row = counts[head].as<std::int32_t>();
    const auto* end = row + counts.size(1);
    const double share = *std::max_element(row, end) / static_cast<double>(tokens);
    health.largest_share = std::max(health.largest_share, share);
    health.mean_largest_share +=
        (share - health.mean_largest_share) / static_cast<double>(++health.clusterings);
    health.clusters += counts.size(1);
    health.empty_clusters += std::count(row, end, 0);
  }
}

/// Every element of a tensor, which need not be contiguous.
void fill(const TensorView& view, std::int32_t value, Context& context) {
  const Arena::Scope scope(context.arena);
  const TensorView one = context.arena.tensor(DType::i32, {1});
  transfer({&value, DType::i32, {1}}, one, context);
  const TensorView everywhere(one.data(), DType::i32, view.shape(), {0, 0}, one.device());
  ops::copy({everywhere, view}, context);
}

/// To which sizes clusters are rounded so that the kernel's tiles are full: queries to the 64 of a
/// warpgroup on a GPU, in 8 bits to the 128 of two and keys to the 16 that are copied together, and
/// on a CPU queries to pairs of lanes of 16. Not much more than half of a cluster's mean size,
/// beyond which it costs closeness (docs/methods/semantic-tail.md). svg2 stays as published.
int size_multiple(const AttentionOptions& options, bool keys, Device device,
                  std::int64_t mean_size) {
  const int asked = keys ? options.key_multiple : options.query_multiple;
  if (asked > 0) return asked;
  if (options.method != "semantic-tail") return 1;
  int multiple = 1;
  if (device == Device::cuda && options.in_8bit)
    multiple = keys ? 16 : 128;
  else if (!keys)
    multiple = device == Device::cpu ? 32 : 64;
  while (multiple > 1 && 20 * multiple > 11 * mean_size) multiple /= 2;
  return multiple;
}

/// Of a label, where there are so many clusters.
int label_bits(const TensorView& offsets) {
  return std::max(
      1, static_cast<int>(std::bit_width(static_cast<std::uint64_t>(offsets.size(1) - 2))));
}

/// The order that kept labels stand for.
void restore_order(const TensorView& labels, const TensorView& offsets, const TensorView& order,
                   Context& context) {
  const Arena::Scope scope(context.arena);
  const TensorView unpacked = context.arena.tensor(DType::i32, order.shape());
  ops::unpack_bits({labels, label_bits(offsets), unpacked}, context);
  ops::cluster_order({unpacked, order, offsets}, context);
}

/// [heads, clusters, head_dim]
TensorView means_tensor(const HeadsCall& call, int clusters, Context& context) {
  return context.arena.tensor(DType::f32, {call.heads(), clusters, call.q.size(2)});
}

}  // namespace

void Clustering::cluster_side(const HeadsCall& call, const TensorView& x, Start start, bool keys,
                              const TensorView& mean, const TensorView& order, Side& side,
                              Context& context, ClusterHealth& health, Readback& readback) const {
  const Arena::Scope scope(context.arena);
  const std::int64_t heads = call.heads();
  const std::int64_t clusters = mean.size(1) - (call.text_tokens() > 0 ? 1 : 0);
  const TensorView labels = context.arena.tensor(DType::i32, {heads, call.tokens()});
  // What k-means does not label is text, in a cluster of its own.
  if (call.text_tokens() > 0) fill(labels, static_cast<std::int32_t>(clusters), context);
  const TensorView counts = context.arena.tensor(DType::i32, {heads, clusters});
  // The last clusters start from where their members are now, not from where they were.
  if (start == Start::warm) ops::cluster_statistics({x, order, side.offsets, mean, {}}, context);
  ops::KMeansParams params;
  params.x = x.slice(1, call.video.begin, call.video.length);
  params.warm_start = start == Start::warm;
  params.max_iterations =
      params.warm_start ? options_.kmeans_iterations_warm : options_.kmeans_iterations;
  params.seed = side_seed(options_.seed, call, keys);
  params.centroids = mean.slice(1, 0, clusters);
  params.labels = labels.slice(1, call.video.begin, call.video.length);
  params.counts = counts;
  ops::kmeans(params, context);
  ops::cluster_order({labels, order, side.offsets}, context);
  const int multiple = size_multiple(options_, keys, context.device, call.video.length / clusters);
  if (multiple > 1) {
    ops::round_clusters({x, params.centroids, order, side.offsets, multiple, labels}, context);
    ops::cluster_order({labels, order, side.offsets}, context);
  }
  ops::pack_bits({labels, label_bits(side.offsets), side.labels}, context);
  readback.read(counts, context, [&health, tokens = call.video.length](const TensorView& values) {
    note_health(values, tokens, health);
  });
}

Clustering::State& Clustering::state_of(const HeadsCall& call, Device device) {
  State& state = states_[{call.layer, call.branch, call.batch}];
  const Shape shape{call.heads(), call.tokens()};
  if (state.shape == shape) return state;
  const ClusterNumbers numbers = cluster_numbers(options_, call.video.length, device);
  const int text = call.text_tokens() > 0 ? 1 : 0;
  const auto make = [&](Side& side, int clusters) {
    side.offsets = Tensor(DType::i32, {call.heads(), clusters + 1}, device);
    side.labels =
        Tensor(DType::u8, {ops::packed_bytes(shape.numel(), label_bits(side.offsets))}, device);
  };
  make(state.q, numbers.query + text);
  make(state.k, numbers.key + text);
  const Shape pairs{call.heads(), numbers.query + text, numbers.key + text};
  if (keeps_choices())
    state.chosen = Tensor(DType::u8, {ops::packed_bytes(pairs.numel(), 1)}, device);
  state.shape = shape;
  state.clustered = false;
  return state;
}

void Clustering::reserve(const HeadsCall& call, const Context& context) {
  state_of(call, context.device);
}

Clusters Clustering::update(const HeadsCall& call, const Wanted& wanted, Context& context,
                            ClusterHealth& health, Readback& readback) {
  const Zone zone(context.profile, "attention.cluster");
  const ClusterNumbers numbers = cluster_numbers(options_, call.video.length, context.device);
  const int text = call.text_tokens() > 0 ? 1 : 0;
  State& state = state_of(call, context.device);
  const Shape& shape = state.shape;
  const bool known = state.clustered;
  Clusters clusters;
  clusters.chosen =
      context.arena.tensor(DType::u8, {call.heads(), numbers.query + text, numbers.key + text});
  const TensorView q_order = context.arena.tensor(DType::i32, shape);
  const TensorView k_order = context.arena.tensor(DType::i32, shape);
  clusters.video_q_clusters = numbers.query;
  clusters.video_k_clusters = numbers.key;
  clusters.q_mean = means_tensor(call, numbers.query + text, context);
  clusters.k_mean = means_tensor(call, numbers.key + text, context);
  const bool due =
      options_.recluster_every > 0 && call.step - state.last_step >= options_.recluster_every;
  const bool warm = options_.kmeans_iterations_warm > 0;
  if (known && (warm || !due)) {
    restore_order(state.q.labels, state.q.offsets, q_order, context);
    restore_order(state.k.labels, state.k.offsets, k_order, context);
  }
  if (!known || due) {
    state.has_choice = false;
    const Start start = known && warm ? Start::warm : Start::fresh;
    cluster_side(call, call.q, start, false, clusters.q_mean, q_order, state.q, context, health,
                 readback);
    cluster_side(call, call.k, start, true, clusters.k_mean, k_order, state.k, context, health,
                 readback);
    state.last_step = call.step;
    state.clustered = true;
  }
  clusters.q_order = q_order;
  clusters.k_order = k_order;
  clusters.q_offsets = state.q.offsets;
  clusters.k_offsets = state.k.offsets;
  const auto statistics = [&](const TensorView& x, bool keys, const TensorView& mean,
                              const TensorView& variance) {
    ops::cluster_statistics(
        {x, keys ? k_order : q_order, (keys ? state.k : state.q).offsets, mean, variance}, context);
  };
  clusters.must_choose = wanted.choice && !state.has_choice;
  if (state.has_choice) ops::unpack_bits({state.chosen, 1, clusters.chosen}, context);
  if (wanted.k_variance && clusters.must_choose)
    clusters.k_variance = means_tensor(call, numbers.key + text, context);
  if (clusters.must_choose) statistics(call.q, false, clusters.q_mean, {});
  // On a CPU the kernel takes the means of the tail.
  const bool tail_means = wanted.v_mean && context.device != Device::cpu;
  if (clusters.must_choose || tail_means)
    statistics(call.k, true, clusters.k_mean, clusters.k_variance);
  if (wanted.v_mean) clusters.v_mean = means_tensor(call, numbers.key + text, context);
  if (tail_means) statistics(call.v, true, clusters.v_mean, {});
  return clusters;
}

void Clustering::keep_choice(const HeadsCall& call, const Clusters& clusters, Context& context) {
  if (!keeps_choices()) return;
  State& state = states_.at({call.layer, call.branch, call.batch});
  ops::pack_bits({clusters.chosen, 1, state.chosen}, context);
  state.has_choice = true;
}

}  // namespace sparsevid
