// Choosing the pairs of clusters to compute.
//
// The problem: 40 heads x 300 rows x 1,000 priorities, 48 MB, and as much again where entries weigh
//   their mass; 12 MB of choices out.
// Plan: by_rows.h, which also fills in what no budget decides; by_threshold.h.
// Bound: 11 us for each time that priorities are read; 0.1 ms expected either way.
#include "ops/cuda/choose_clusters.h"

#include <algorithm>

#include "ops/cuda/choose_clusters/by_rows.h"
#include "ops/cuda/choose_clusters/by_threshold.h"
#include "ops/cuda/common/launch.h"

namespace sparsevid::ops::cuda {
namespace {

using namespace choosing;

int sorted_columns(std::int64_t columns) {
  int sorted = 1;
  while (sorted < columns) sorted *= 2;
  return sorted;
}

template <int kShift, int kBits>
void narrow(const Choose& p, Threshold* threshold, Weight* histogram, cudaStream_t stream) {
  check(cudaMemsetAsync(histogram, 0, sizeof(Weight) << kBits, stream), "choose_clusters");
  const int blocks = std::min(p.heads * p.rows, 8 * device_facts().multiprocessors);
  add_to_histogram<kShift, kBits><<<blocks, kThreads, 0, stream>>>(p, threshold, histogram);
  pick_bin<kBits><<<1, kPickThreads, 0, stream>>>(histogram, threshold);
}

}  // namespace

std::string choose_clusters_refusal(const ChooseClustersParams& params, const Context&) {
  const std::int64_t bytes =
      sorted_columns(params.priority.size(2)) * static_cast<std::int64_t>(sizeof(Weight));
  if (bytes > device_facts().shared_memory_per_block - 1024)
    return "too many clusters for shared memory";
  return {};
}

void choose_clusters(const ChooseClustersParams& params, Context& context) {
  Choose p{};
  p.priority = per_head<const float>(params.priority);
  p.mass = per_head<const float>(params.mass);
  p.q_offsets = per_head<const int>(params.q_offsets);
  p.k_offsets = per_head<const int>(params.k_offsets);
  p.chosen = params.chosen.as<std::uint8_t>();
  p.budget = params.budget;
  p.crossing = params.crossing;
  p.at_least = params.at_least;
  p.shared = params.shared;
  p.heads = static_cast<int>(params.priority.size(0));
  p.rows = static_cast<int>(params.priority.size(1));
  p.columns = static_cast<int>(params.priority.size(2));
  p.q_clusters = static_cast<int>(params.chosen.size(1));
  p.k_clusters = static_cast<int>(params.chosen.size(2));
  p.sorted = sorted_columns(p.columns);
  if (params.chosen.numel() == 0) return;
  const Arena::Scope scope(context.arena);
  const cudaStream_t stream = stream_of(context);
  const int key_bytes =
      p.shared && p.at_least <= 0 ? 0 : p.sorted * static_cast<int>(sizeof(Weight));
  allow_shared_memory(choose_rows, key_bytes, "choose_clusters");
  choose_rows<<<dim3(p.q_clusters, p.heads), kThreads, key_bytes, stream>>>(p);
  if (p.shared && params.priority.numel() > 0) {
    auto* threshold = context.arena.array<Threshold>(1);
    auto* histogram = context.arena.array<Weight>(2048);
    auto* equal = context.arena.array<Weight>(std::int64_t{p.heads} * p.rows);
    start_threshold<<<1, 32, 0, stream>>>(p, threshold);
    narrow<20, 11>(p, threshold, histogram, stream);
    narrow<10, 10>(p, threshold, histogram, stream);
    narrow<0, 10>(p, threshold, histogram, stream);
    const dim3 grid(p.rows, p.heads);
    choose_above<<<grid, kThreads, 0, stream>>>(p, threshold, equal);
    add_rows_before<<<1, kPickThreads, 0, stream>>>(equal, p.heads * p.rows);
    choose_equal<<<grid, kThreads, 0, stream>>>(p, threshold, equal);
  }
  check_launch("choose_clusters");
}

}  // namespace sparsevid::ops::cuda
