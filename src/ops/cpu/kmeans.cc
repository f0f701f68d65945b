#include "ops/cpu/kmeans.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/parallel.h"
#include "ops/cpu/cluster_panels.h"
#include "ops/cpu/kmeans_refill.h"
#include "ops/kmeans_seed.h"

namespace sparsevid::ops::cpu {
namespace {

/// Pieces that heads are cut into so that there is work for many threads. Each piece sums its own
/// members, so their number must not depend on the threads: the result would.
constexpr std::int64_t kPieces = 16;

/// All heads of a call. Each phase of an iteration is one parallel loop.
class Lloyd {
 public:
  Lloyd(const ClusterKernel& kernel, const KMeansParams& params, Context& context)
      : kernel_(kernel),
        params_(params),
        context_(context),
        heads_(params.x.size(0)),
        count_(params.x.size(1)),
        dim_(params.x.size(2)),
        clusters_(params.centroids.size(1)),
        usable_(context.arena.array<std::uint8_t>(heads_ * clusters_)),
        resting_(context.arena.array<std::uint8_t>(heads_)),
        previous_(context.arena.array<float>(heads_ * clusters_ * dim_)),
        parts_(heads_ > 0 ? (kPieces + heads_ - 1) / heads_ : 1),
        sums_(context.arena.array<float>(heads_ * parts_ * clusters_ * dim_)),
        part_counts_(context.arena.array<std::int32_t>(heads_ * parts_ * clusters_)),
        members_(context.arena.array<std::int32_t>(heads_ * count_)),
        scratch_(kernel.words(static_cast<int>(dim_)), (clusters_ + kPanel - 1) / kPanel * kPanel,
                 context.threads, context.arena) {
    for (std::int64_t head = 0; head < heads_; ++head)
      panels_.emplace_back(kernel, clusters_, dim_, context.arena);
    std::fill_n(resting_, heads_, std::uint8_t{0});
    std::fill_n(usable_, heads_ * clusters_, std::uint8_t{1});
  }

  void start_from_rows() {
    for (std::int64_t head = 0; head < heads_; ++head) {
      const TensorView x = params_.x[head];
      for (std::int64_t c = 0; c < clusters_; ++c) {
        const std::int64_t row = kmeans_seed_row(params_.seed, head, c, clusters_, count_);
        usable_[head * clusters_ + c] = row >= 0 ? 1 : 0;
        for (std::int64_t d = 0; d < dim_; ++d)
          centroid(head, c)[d] = row < 0 ? 0
                                 : x.dtype() == DType::bf16
                                     ? static_cast<float>(x[row].as<bf16>()[d])
                                     : x[row].as<float>()[d];
      }
    }
  }

  void run() {
    for (int i = 0; i < params_.max_iterations; ++i) {
      for_each_head([&](auto head) { pack(head); });
      assign();
      move_to_means();
      for_each_head([&](auto head) { settle(head); });
      if (std::all_of(resting_, resting_ + heads_, [](auto rests) { return rests != 0; })) return;
    }
  }

 private:
  float* centroid(std::int64_t head, std::int64_t c) const {
    return params_.centroids[head].as<float>() + c * dim_;
  }
  std::int32_t* labels(std::int64_t head) const { return params_.labels[head].as<std::int32_t>(); }
  std::int32_t* counts(std::int64_t head) const { return params_.counts[head].as<std::int32_t>(); }

  /// The heads that still move, in parallel.
  template <typename Body>
  void for_each_head(const Body& body) {
    parallel_for(context_.threads, heads_, 1, [&](auto begin, auto end) {
      for (auto head = begin; head < end; ++head)
        if (resting_[head] == 0) body(head);
    });
  }

  void pack(std::int64_t head) {
    const std::uint8_t* usable = usable_ + head * clusters_;
    panels_[static_cast<std::size_t>(head)].pack(centroid(head, 0), usable);
    panels_[static_cast<std::size_t>(head)].set_distance_bias(usable);
    std::copy_n(centroid(head, 0), clusters_ * dim_, previous_ + head * clusters_ * dim_);
  }

  /// Labels all rows, and sums and counts the members of every piece.
  void assign() {
    parallel_for(context_.threads, heads_ * parts_, 1, [&](auto begin, auto end) {
      for (auto piece = begin; piece < end; ++piece) {
        const std::int64_t head = piece / parts_;
        if (resting_[head] != 0) continue;
        std::fill_n(sums_ + piece * clusters_ * dim_, clusters_ * dim_, 0.F);
        std::fill_n(part_counts_ + piece * clusters_, clusters_, 0);
        const std::int64_t part = piece % parts_;
        const std::int64_t last = (part + 1) * count_ / parts_;
        for (std::int64_t i = part * count_ / parts_; i < last; i += kClusterBlock)
          assign_block(piece, i, static_cast<int>(std::min<std::int64_t>(kClusterBlock, last - i)));
      }
    });
  }

  void assign_block(std::int64_t piece, std::int64_t first, int rows) {
    const std::int64_t head = piece / parts_;
    ClusterPanels& panels = panels_[static_cast<std::size_t>(head)];
    std::uint32_t* packed = scratch_.rows(thread_index());
    float* products = scratch_.products(thread_index());
    const SourceRows x(params_.x[head]);
    for (int r = 0; r < rows; ++r) {
      x.prefetch(std::min(first + r + kClusterBlock, count_ - 1), dim_);
      kernel_.pack_row(x.row(first + r), x.is_bf16, static_cast<int>(dim_), panels.words(),
                       packed + r * panels.words());
    }
    panels.product(packed, rows, products);
    std::int32_t* label = labels(head) + first;
    kernel_.nearest(products, panels.bias(), panels.columns(), rows, label);
    std::int32_t* members = part_counts_ + piece * clusters_;
    for (int r = 0; r < rows; ++r) {
      // A row that is not a number is nearest to nothing, and its label may lie behind the last.
      if (label[r] >= clusters_) label[r] = 0;
      ++members[label[r]];
    }
    kernel_.add_rows(x.row(first), x.is_bf16, x.stride, rows, static_cast<int>(dim_), label,
                     sums_ + piece * clusters_ * dim_);
  }

  void move_to_means() {
    constexpr std::int64_t kClustersAtOnce = 32;
    parallel_for(context_.threads, heads_ * clusters_, kClustersAtOnce, [&](auto begin, auto end) {
      for (auto item = begin; item < end; ++item) {
        const std::int64_t head = item / clusters_;
        const std::int64_t c = item % clusters_;
        if (resting_[head] != 0) continue;
        float* mean = centroid(head, c);
        std::fill_n(mean, dim_, 0.F);
        std::int32_t members = 0;
        for (std::int64_t piece = head * parts_; piece < (head + 1) * parts_; ++piece) {
          members += part_counts_[piece * clusters_ + c];
          const float* sum = sums_ + (piece * clusters_ + c) * dim_;
          for (std::int64_t d = 0; d < dim_; ++d) mean[d] += sum[d];
        }
        counts(head)[c] = members;
        const float factor = members > 0 ? 1 / static_cast<float>(members) : 0;
        for (std::int64_t d = 0; d < dim_; ++d) mean[d] *= factor;
      }
    });
  }

  /// Refills empty clusters and notes whether the head has come to rest.
  void settle(std::int64_t head) {
    refill_empty_clusters(kernel_, params_.x[head], params_.centroids[head], labels(head),
                          counts(head), members_ + head * count_);
    std::uint8_t* usable = usable_ + head * clusters_;
    const std::int32_t* members = counts(head);
    const float* after = centroid(head, 0);
    const float* before = previous_ + head * clusters_ * dim_;
    double largest = 0;
    double norms = 0;
    for (std::int64_t c = 0; c < clusters_; ++c) {
      if (members[c] > 0) usable[c] = 1;
      float moved = 0;
      float norm = 0;
      for (std::int64_t d = 0; d < dim_; ++d) {
        const float now = after[c * dim_ + d];
        moved += (now - before[c * dim_ + d]) * (now - before[c * dim_ + d]);
        norm += now * now;
      }
      largest = std::max<double>(largest, moved);
      norms += std::sqrt(norm);
    }
    const double share = params_.tolerance * norms / static_cast<double>(clusters_);
    resting_[head] = std::sqrt(largest) <= share ? 1 : 0;
  }

  const ClusterKernel& kernel_;
  const KMeansParams& params_;
  Context& context_;
  std::int64_t heads_;
  std::int64_t count_;
  std::int64_t dim_;
  std::int64_t clusters_;
  std::uint8_t* usable_;   // [heads, clusters]; 0: more clusters than rows, never given a centroid
  std::uint8_t* resting_;  // [heads]
  float* previous_;        // [heads, clusters, head_dim]: the centroids before this iteration
  std::int64_t parts_;     // pieces of a head
  float* sums_;            // [heads, parts, clusters, head_dim]
  std::int32_t* part_counts_;  // [heads, parts, clusters]
  std::int32_t* members_;      // [heads, count]: for refilling
  BlockScratch scratch_;
  std::vector<ClusterPanels> panels_;
};

}  // namespace

void kmeans(const ClusterKernel& kernel, const KMeansParams& params, Context& context) {
  const Arena::Scope scope(context.arena);
  Lloyd lloyd(kernel, params, context);
  if (!params.warm_start) lloyd.start_from_rows();
  lloyd.run();
}

}  // namespace sparsevid::ops::cpu
