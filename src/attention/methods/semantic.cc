#include "attention/methods/semantic.h"

#include <algorithm>

#include "attention/methods/cluster_budget.h"
#include "base/error.h"
#include "core/transfer.h"
#include "ops/block_sparse_attention_8bit.h"
#include "ops/cluster_scores.h"
#include "ops/pair_density.h"

namespace sparsevid {
namespace {

/// The cluster of every token.
Tensor labels_of(const TensorView& order, const TensorView& offsets, const Context& context) {
  const Tensor orders = copy_to(Device::cpu, order, context);
  const Tensor begins_of_all = copy_to(Device::cpu, offsets, context);
  Tensor labels(DType::i32, order.shape());
  for (std::int64_t head = 0; head < order.size(0); ++head) {
    const auto* tokens = orders.view()[head].as<std::int32_t>();
    const auto* begins = begins_of_all.view()[head].as<std::int32_t>();
    for (std::int64_t c = 0; c + 1 < offsets.size(1); ++c)
      for (int p = begins[c]; p < begins[c + 1]; ++p)
        labels.view()[head].as<std::int32_t>()[tokens[p]] = static_cast<std::int32_t>(c);
  }
  return labels;
}

/// Then dense attention is the same and faster. A GPU is not asked: it would have to be waited for.
bool everything_chosen(const TensorView& density) {
  if (density.device() != Device::cpu) return false;
  const auto* values = density.as<double>();
  return std::all_of(values, values + density.numel(), [](double value) { return value == 1; });
}

}  // namespace

SemanticAttention::SemanticAttention(const AttentionOptions& options, const AttentionFacts& facts)
    : SparseMethod(options, facts), clustering_(options) {}

void SemanticAttention::prepare(const HeadsCall& call, Context& context) {
  // Memory is asked for in the first step, whether it is dense or not.
  clustering_.reserve(call, context);
  if (!options().cluster_in_dense_steps) return;
  const Arena::Scope scope(context.arena);
  clustering_.update(call, {.choice = false}, context, cluster_health(), readback());
}

void SemanticAttention::run_heads(const HeadsCall& call, Context& context) {
  const Arena::Scope scope(context.arena);
  const Clustering::Wanted statistics = wanted();
  const Clusters clusters =
      clustering_.update(call, statistics, context, cluster_health(), readback());
  const TensorView& chosen = clusters.chosen;
  if (clusters.must_choose) {
    choose(call, clusters, context);
    clustering_.keep_choice(call, clusters, context);
  }
  if (options().quality_rows > 0) remember(clusters, context);
  const TensorView density = context.arena.tensor(DType::f64, {call.heads()});
  ops::pair_density({chosen, clusters.q_offsets, clusters.k_offsets, density}, context);
  // Without a tail every query cluster has a key cluster, unless what they weigh is not a number.
  const bool must_compute = !statistics.v_mean;
  readback().read(density, context,
                  [heads = density_slot(), must_compute, step = call.step,
                   layer = call.layer](const TensorView& values) {
                    const auto* begin = values.as<double>();
                    const auto* end = begin + values.numel();
                    require(!must_compute || std::find(begin, end, 0.0) == end, ErrorKind::internal,
                            "sampling step {}: attention of layer {}: queries or keys are not "
                            "finite; the transformer's weights may be damaged",
                            step + 1, layer);
                    heads().insert(heads().end(), begin, end);
                  });
  if (everything_chosen(density)) {
    attend_densely(call, context);
    return;
  }
  const Zone zone(context.profile, "attention.kernel");
  ops::BlockSparseAttention8bitParams params;
  params.q = call.q;
  params.k = call.k;
  params.v = call.v;
  params.q_order = clusters.q_order;
  params.k_order = clusters.k_order;
  params.q_offsets = clusters.q_offsets;
  params.k_offsets = clusters.k_offsets;
  params.chosen = chosen;
  if (statistics.v_mean) {
    params.k_mean = clusters.k_mean;
    params.v_mean = clusters.v_mean;
    params.takes_means = context.device == Device::cpu;
  }
  params.scale = call.scale;
  params.out = call.out;
  if (call.in_8bit)
    ops::block_sparse_attention_8bit(params, context);
  else
    ops::block_sparse_attention(params, context);
}

void SemanticAttention::remember(const Clusters& clusters, Context& context) {
  last_q_labels_ = labels_of(clusters.q_order, clusters.q_offsets, context);
  last_k_labels_ = labels_of(clusters.k_order, clusters.k_offsets, context);
  last_chosen_ = copy_to(Device::cpu, clusters.chosen, context);
}

TensorView SemanticAttention::scores(const HeadsCall& call, const Clusters& clusters,
                                     bool from_queries, Context& context) {
  const TensorView scores = context.arena.tensor(
      DType::f32, {call.heads(), clusters.video_q_clusters, clusters.video_k_clusters});
  ops::ClusterScoresParams params;
  if (from_queries) {
    params.q = call.q;
    params.q_order = clusters.q_order;
    params.q_offsets = clusters.q_offsets.slice(1, 0, clusters.video_q_clusters + 1);
  } else {
    params.q = clusters.q_mean.slice(1, 0, clusters.video_q_clusters);
  }
  params.k_mean = clusters.k_mean.slice(1, 0, clusters.video_k_clusters);
  params.k_offsets = clusters.k_offsets.slice(1, 0, clusters.video_k_clusters + 1);
  params.scale = call.scale;
  params.scores = scores;
  ops::cluster_scores(params, context);
  return scores;
}

void SemanticAttention::choose(const HeadsCall& call, const Clusters& clusters, Context& context) {
  const Arena::Scope scope(context.arena);
  TensorView score;
  {
    const Zone zone(context.profile, "attention.score");
    score = scores(call, clusters, false, context);
  }
  const Zone zone(context.profile, "attention.choose");
  ops::choose_clusters(choice_per_row(options(), call, clusters, score, score), context);
}

bool SemanticAttention::computed(std::int64_t head, std::int64_t query, std::int64_t key) const {
  const int i = last_q_labels_.view()[head].as<std::int32_t>()[query];
  const int j = last_k_labels_.view()[head].as<std::int32_t>()[key];
  return last_chosen_.view()[head][i].as<std::uint8_t>()[j] != 0;
}

}  // namespace sparsevid
