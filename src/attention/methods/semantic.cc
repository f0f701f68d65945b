#include "attention/methods/semantic.h"

#include <algorithm>

#include "attention/methods/cluster_budget.h"
#include "ops/block_sparse_attention.h"
#include "ops/cluster_scores.h"

namespace sparsevid {
namespace {

/// Text sees everything and is seen by everything.
void choose_text(const Clusters& clusters, const TensorView& chosen) {
  for (std::int64_t head = 0; head < chosen.size(0); ++head) {
    const TensorView rows = chosen[head];
    for (std::int64_t i = 0; i < rows.size(0); ++i) {
      auto* row = rows[i].as<std::uint8_t>();
      const std::int64_t from = i < clusters.video_q_clusters ? clusters.video_k_clusters : 0;
      std::fill(row + from, row + rows.size(1), std::uint8_t{1});
    }
  }
}

std::vector<double> densities(const Clusters& clusters, const TensorView& chosen) {
  std::vector<double> result;
  for (std::int64_t head = 0; head < chosen.size(0); ++head) {
    std::int64_t pairs = 0;
    for (std::int64_t i = 0; i < chosen.size(1); ++i) {
      const auto* row = chosen[head][i].as<std::uint8_t>();
      std::int64_t keys = 0;
      for (std::int64_t j = 0; j < chosen.size(2); ++j)
        keys += row[j] * Clusters::size(clusters.k_offsets, head, j);
      pairs += keys * Clusters::size(clusters.q_offsets, head, i);
    }
    const auto tokens = static_cast<double>(clusters.tokens());
    result.push_back(static_cast<double>(pairs) / (tokens * tokens));
  }
  return result;
}

/// The cluster of every token.
Tensor labels_of(const TensorView& order, const TensorView& offsets) {
  Tensor labels(DType::i32, order.shape());
  for (std::int64_t head = 0; head < order.size(0); ++head) {
    const auto* tokens = order[head].as<std::int32_t>();
    const auto* begins = offsets[head].as<std::int32_t>();
    for (std::int64_t c = 0; c + 1 < offsets.size(1); ++c)
      for (int p = begins[c]; p < begins[c + 1]; ++p)
        labels.view()[head].as<std::int32_t>()[tokens[p]] = static_cast<std::int32_t>(c);
  }
  return labels;
}

}  // namespace

SemanticAttention::SemanticAttention(const AttentionOptions& options, const AttentionFacts& facts)
    : SparseMethod(options, facts), clustering_(options) {}

void SemanticAttention::prepare(const HeadsCall& call, Context& context) {
  if (!options().cluster_in_dense_steps) return;
  const Arena::Scope scope(context.arena);
  clustering_.update(call, {.choice = false}, context, cluster_health());
}

std::vector<double> SemanticAttention::run_heads(const HeadsCall& call, Context& context) {
  const Arena::Scope scope(context.arena);
  const Clustering::Wanted statistics = wanted();
  const Clusters clusters = clustering_.update(call, statistics, context, cluster_health());
  const TensorView& chosen = clusters.chosen;
  if (clusters.must_choose) {
    choose(call, clusters,
           chosen.slice(1, 0, clusters.video_q_clusters).slice(2, 0, clusters.video_k_clusters),
           context);
    choose_text(clusters, chosen);
  }
  if (options().quality_rows > 0) {
    last_q_labels_ = labels_of(clusters.q_order, clusters.q_offsets);
    last_k_labels_ = labels_of(clusters.k_order, clusters.k_offsets);
    last_chosen_ = Tensor(DType::u8, chosen.shape());
    std::copy_n(chosen.as<std::uint8_t>(), chosen.numel(), last_chosen_->as<std::uint8_t>());
  }
  auto result = densities(clusters, chosen);
  if (std::all_of(result.begin(), result.end(), [](double density) { return density == 1; })) {
    attend_densely(call, context);
    return result;
  }
  const Zone zone(context.profile, "attention.kernel");
  ops::BlockSparseAttentionParams params;
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
  }
  params.scale = call.scale;
  params.out = call.out;
  ops::block_sparse_attention(params, context);
  return result;
}

void SemanticAttention::choose(const HeadsCall& call, const Clusters& clusters,
                               const TensorView& chosen, Context& context) {
  const Arena::Scope scope(context.arena);
  const TensorView scores = context.arena.tensor(
      DType::f32, {call.heads(), clusters.video_q_clusters, clusters.video_k_clusters});
  {
    const Zone zone(context.profile, "attention.score");
    ops::ClusterScoresParams params;
    params.q = clusters.q_mean.slice(1, 0, clusters.video_q_clusters);
    params.k_mean = clusters.k_mean.slice(1, 0, clusters.video_k_clusters);
    params.k_offsets = clusters.k_offsets.slice(1, 0, clusters.video_k_clusters + 1);
    params.scale = call.scale;
    params.scores = scores;
    ops::cluster_scores(params, context);
  }
  const Zone zone(context.profile, "attention.choose");
  choose_per_row(options(), call, clusters, scores, scores, chosen, context);
}

bool SemanticAttention::computed(std::int64_t head, std::int64_t query, std::int64_t key) const {
  const int i = last_q_labels_.view()[head].as<std::int32_t>()[query];
  const int j = last_k_labels_.view()[head].as<std::int32_t>()[key];
  return last_chosen_.view()[head][i].as<std::uint8_t>()[j] != 0;
}

}  // namespace sparsevid
