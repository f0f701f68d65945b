#include "ops/cpu/band_profile.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numbers>
#include <vector>

#include "base/parallel.h"
#include "ops/cpu/cluster_panels.h"

namespace sparsevid::ops::cpu {
namespace {

constexpr int kKinds = 3;  // every key, the band in frame-major order, the one in position-major
/// The product reads and writes whole steps of rows; this many more than asked for, at most.
constexpr std::int64_t kRowSlack = 16;

std::int64_t round_up(std::int64_t count) { return (count + kPanel - 1) / kPanel * kPanel; }

/// One head at a time, in memory that is reused for the next.
class Profiler {
 public:
  Profiler(const ClusterKernel& kernel, const BandProfileParams& params, Arena& arena)
      : kernel_(kernel),
        params_(params),
        tokens_(params.q.size(1)),
        dim_(static_cast<int>(params.q.size(2))),
        padded_dim_(static_cast<int>(round_up(dim_))),
        samples_(static_cast<int>(params.rows.size(1))),
        queries_(static_cast<int>(round_up(samples_))),
        panels_(arena.array<std::uint32_t>(std::int64_t{queries_} * padded_dim_)),
        row_(arena.array<std::uint32_t>(padded_dim_)),
        keys_(arena.array<std::uint32_t>(kClusterBlock * padded_dim_)),
        values_(arena.array<std::uint32_t>(kClusterBlock * padded_dim_)),
        logits_(arena.array<float>((tokens_ + kClusterBlock) * queries_)),
        weights_(arena.array<float>(kKinds * block_floats())),
        product_(arena.array<float>((queries_ + kRowSlack) * padded_dim_)),
        outputs_(arena.array<float>(kKinds * queries_ * padded_dim_)),
        totals_(arena.array<float>(kKinds * queries_)),
        top_(arena.array<float>(queries_)),
        query_places_(arena.array<float>(2 * queries_)),
        key_places_(arena.array<float>(2 * kClusterBlock)) {}

  void run(std::int64_t head) {
    pack_queries(head);
    std::fill_n(top_, queries_, -std::numeric_limits<float>::infinity());
    std::fill_n(totals_, kKinds * queries_, 0.F);
    std::fill_n(outputs_, kKinds * queries_ * padded_dim_, 0.F);
    for (std::int64_t first = 0; first < tokens_; first += kClusterBlock) find_logits(head, first);
    for (std::int64_t first = 0; first < tokens_; first += kClusterBlock) add_values(head, first);
    for (int band = 0; band < 2; ++band)
      params_.errors[head].as<float>()[band] = static_cast<float>(squared_error(band + 1));
    if (!params_.temporal.defined()) return;
    const auto* errors = params_.errors[head].as<float>();
    params_.temporal.as<std::uint8_t>()[head] = errors[1] < errors[0] ? 1 : 0;
  }

 private:
  std::int64_t block_floats() const { return kClusterBlock * queries_ + kRowSlack; }
  int block_size(std::int64_t first) const {
    return static_cast<int>(std::min<std::int64_t>(kClusterBlock, tokens_ - first));
  }

  float place(std::int64_t token, int band) const {
    const std::int64_t video = token - params_.video_begin;
    const std::int64_t positions = params_.positions;
    return static_cast<float>(band == 0 ? video
                                        : video % positions * params_.frames + video / positions);
  }

  void pack_queries(std::int64_t head) {
    const SourceRows q(params_.q[head]);
    const auto* rows = params_.rows[head].as<std::int32_t>();
    const float factor = static_cast<float>(params_.scale) * std::numbers::log2e_v<float>;
    std::fill_n(panels_, std::int64_t{queries_} * padded_dim_, 0U);
    for (int s = 0; s < queries_; ++s) {
      const int sample = std::min(s, samples_ - 1);
      for (const int band : {0, 1}) query_places_[band * queries_ + s] = place(rows[sample], band);
      kernel_.pack_row(q.row(rows[sample]), q.is_bf16, dim_, padded_dim_, row_);
      std::uint32_t* column = panels_ + s / kPanel * padded_dim_ * kPanel + s % kPanel;
      for (int d = 0; d < dim_; ++d)
        column[d * kPanel] = std::bit_cast<std::uint32_t>(std::bit_cast<float>(row_[d]) * factor);
    }
  }

  void find_logits(std::int64_t head, std::int64_t first) {
    const SourceRows k(params_.k[head]);
    const int count = block_size(first);
    for (int j = 0; j < count; ++j) {
      k.prefetch(std::min(first + j + kClusterBlock, tokens_ - 1), dim_);
      kernel_.pack_row(k.row(first + j), k.is_bf16, dim_, padded_dim_, keys_ + j * padded_dim_);
    }
    float* logits = logits_ + first * queries_;
    kernel_.product({keys_, padded_dim_, 1}, count, panels_, queries_ / kPanel, padded_dim_,
                    logits);
    kernel_.raise_top(logits, queries_, count, top_);
  }

  void add_values(std::int64_t head, std::int64_t first) {
    const int count = block_size(first);
    pack_values(head, first, count);
    const std::int64_t video_end =
        params_.video_begin + static_cast<std::int64_t>(params_.frames) * params_.positions;
    for (int j = 0; j < count; ++j) {
      const std::int64_t token = first + j;
      const bool seen_by_all =
          token < params_.video_begin + params_.positions || token >= video_end;
      for (const int band : {0, 1})
        key_places_[band * kClusterBlock + j] = seen_by_all ? -1 : place(token, band);
    }
    BandWeights block{};
    block.logits = logits_ + first * queries_;
    block.top = top_;
    block.keys = count;
    block.queries = queries_;
    block.width = static_cast<float>(params_.width);
    for (const int band : {0, 1}) {
      block.key_places[band] = key_places_ + band * kClusterBlock;
      block.query_places[band] = query_places_ + band * queries_;
    }
    for (int kind = 0; kind < kKinds; ++kind) {
      block.weights[kind] = weights_ + kind * block_floats();
      block.totals[kind] = totals_ + kind * queries_;
    }
    kernel_.weigh_bands(block);
    for (int kind = 0; kind < kKinds; ++kind) {
      const auto* weights = reinterpret_cast<const std::uint32_t*>(block.weights[kind]);
      kernel_.product({weights, 1, queries_}, queries_, values_, padded_dim_ / kPanel, count,
                      product_);
      float* output = outputs_ + kind * queries_ * padded_dim_;
      for (int i = 0; i < queries_ * padded_dim_; ++i) output[i] += product_[i];
    }
  }

  void pack_values(std::int64_t head, std::int64_t first, int count) {
    const SourceRows v(params_.v[head]);
    for (int j = 0; j < count; ++j) {
      v.prefetch(std::min(first + j + kClusterBlock, tokens_ - 1), dim_);
      kernel_.pack_row(v.row(first + j), v.is_bf16, dim_, padded_dim_, row_);
      for (int panel = 0; panel < padded_dim_ / kPanel; ++panel)
        std::copy_n(row_ + panel * kPanel, kPanel, values_ + (panel * count + j) * kPanel);
    }
  }

  /// Mean over the samples of the squared difference between a kind's output and the exact one.
  double squared_error(int kind) const {
    double sum = 0;
    for (int s = 0; s < samples_; ++s) {
      const float* exact = outputs_ + s * padded_dim_;
      const float* masked = outputs_ + (kind * queries_ + s) * padded_dim_;
      const double exact_total = totals_[s];
      const double masked_total = totals_[kind * queries_ + s];
      for (int d = 0; d < dim_; ++d) {
        const double output = masked_total > 0 ? masked[d] / masked_total : 0;
        const double difference = output - exact[d] / exact_total;
        sum += difference * difference;
      }
    }
    return sum / (static_cast<double>(samples_) * dim_);
  }

  const ClusterKernel& kernel_;
  const BandProfileParams& params_;
  std::int64_t tokens_;
  int dim_;
  int padded_dim_;
  int samples_;
  int queries_;            // samples, padded with copies of the last to whole panels
  std::uint32_t* panels_;  // the queries, packed
  std::uint32_t* row_;     // [padded_dim]
  std::uint32_t* keys_;    // [block, padded_dim]
  std::uint32_t* values_;  // a block of values, packed
  float* logits_;          // [tokens, queries], in base 2
  float* weights_;         // [kinds, block, queries]
  float* product_;         // [queries, padded_dim]
  float* outputs_;         // [kinds, queries, padded_dim], not yet divided by the totals
  float* totals_;          // [kinds, queries]
  float* top_;             // [queries]
  float* query_places_;    // [bands, queries]
  float* key_places_;      // [bands, block]
};

}  // namespace

void band_profile(const ClusterKernel& kernel, const BandProfileParams& params, Context& context) {
  if (params.rows.numel() == 0) return;
  const Arena::Scope scope(context.arena);
  const std::int64_t heads = params.q.size(0);
  std::vector<Profiler> profilers;
  const std::int64_t pieces = std::min<std::int64_t>(context.threads, heads);
  for (std::int64_t p = 0; p < pieces; ++p) profilers.emplace_back(kernel, params, context.arena);
  parallel_for(context.threads, pieces, 1, [&](auto begin, auto end) {
    for (auto piece = begin; piece < end; ++piece)
      for (auto head = piece; head < heads; head += pieces)
        profilers[static_cast<std::size_t>(piece)].run(head);
  });
}

}  // namespace sparsevid::ops::cpu
