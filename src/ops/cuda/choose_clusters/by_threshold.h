// Choosing by one threshold for all rows of all heads.
//
// Plan: three histograms of weights over the 31 bits of the priorities, 11 + 10 + 10, each within
//   the bin in which the one before crossed the budget; then everything above the threshold, and of
//   what equals it the first entries by index, found by a sum over the rows before. Weights are
//   added as whole numbers (tokens, or masses times 2^32), so atomics give the same sums in any
//   order.
// Shared memory: 16 KB of histogram, as two words a bin, because 64-bit atomics in shared memory
//   are loops.
#pragma once

#include "ops/cuda/choose_clusters/problem.h"

namespace sparsevid::ops::cuda::choosing {

constexpr int kPickThreads = 1024;

/// Where the search for the shared threshold stands.
struct Threshold {
  double left;      // of the budget, for entries whose key begins as `prefix` does, in units
  unsigned prefix;  // of the key of the entry that crosses the budget
};

__global__ void start_threshold(const Choose p, Threshold* threshold) {
  if (threadIdx.x != 0) return;
  double queries = 0;
  for (int head = 0; head < p.heads; ++head) {
    const int* offsets = p.q_offsets.of(head);
    queries += offsets[p.rows] - offsets[0];
  }
  threshold->left = p.budget * queries * (p.mass.data == nullptr ? 1 : kMassUnit);
  threshold->prefix = 0;
}

template <int kShift, int kBits>
__global__ void __launch_bounds__(kThreads)
    add_to_histogram(const Choose p, const Threshold* threshold, Weight* histogram) {
  constexpr int kBins = 1 << kBits;
  __shared__ unsigned low[kBins];
  __shared__ unsigned high[kBins];
  for (int b = static_cast<int>(threadIdx.x); b < kBins; b += kThreads) low[b] = high[b] = 0;
  __syncthreads();
  const unsigned prefix = threshold->prefix;
  for (int n = static_cast<int>(blockIdx.x); n < p.heads * p.rows; n += gridDim.x) {
    const int head = n / p.rows;
    const int i = n % p.rows;
    const auto queries = static_cast<float>(p.queries(head, i));
    if (queries == 0) continue;
    for (int j = static_cast<int>(threadIdx.x); j < p.columns; j += kThreads) {
      const unsigned key = p.key(head, i, j);
      if (kShift + kBits < 31 && key >> (kShift + kBits) != prefix) continue;
      const Weight units = p.units(queries * p.weight(head, i, j));
      if (units == 0) continue;
      const unsigned bin = key >> kShift & (kBins - 1);
      const auto low_units = static_cast<unsigned>(units);
      const unsigned before = atomicAdd(&low[bin], low_units);
      const unsigned carried =
          static_cast<unsigned>(units >> 32) + (before + low_units < before ? 1 : 0);
      if (carried != 0) atomicAdd(&high[bin], carried);
    }
  }
  __syncthreads();
  for (int b = static_cast<int>(threadIdx.x); b < kBins; b += kThreads) {
    const Weight sum = Weight{high[b]} << 32 | low[b];
    if (sum != 0) atomicAdd(&histogram[b], sum);
  }
}

/// The highest bin at which all bins from it on reach what is left of the budget; else bin 0. One
/// block; thread t has the bins that follow from the top.
template <int kBits>
__global__ void __launch_bounds__(kPickThreads)
    pick_bin(const Weight* histogram, Threshold* threshold) {
  constexpr int kBins = 1 << kBits;
  constexpr int kEach = kBins / kPickThreads;
  __shared__ Weight of_warps[kPickThreads / 32];
  __shared__ int picked;
  const double left = threshold->left;
  const int top = kBins - 1 - static_cast<int>(threadIdx.x) * kEach;
  Weight sum = 0;
  for (int b = top; b > top - kEach; --b) sum += histogram[b];
  Weight above = sum_before<kPickThreads>(sum, of_warps);
  if (threadIdx.x == 0) picked = 0;
  __syncthreads();
  for (int b = top; b > top - kEach; --b) {
    const Weight reached = above + histogram[b];
    // Only the first bin that reaches it; bin 0 takes what nothing reached.
    const bool before = b < kBins - 1 && static_cast<double>(above) >= left;
    if (b > 0 && !before && static_cast<double>(reached) >= left) picked = b;
    above = reached;
  }
  __syncthreads();
  above -= sum;
  for (int b = top; b > top - kEach; --b) {
    if (b == picked) {
      threshold->left = left - static_cast<double>(above);
      threshold->prefix = threshold->prefix << kBits | static_cast<unsigned>(b);
    }
    above += histogram[b];
  }
}

/// Takes what is above the threshold, and adds up what equals it, for each row.
__global__ void __launch_bounds__(kThreads)
    choose_above(const Choose p, const Threshold* threshold, Weight* equal) {
  __shared__ Weight of_warps[kThreads / 32];
  const int i = static_cast<int>(blockIdx.x);
  const int head = static_cast<int>(blockIdx.y);
  const auto queries = static_cast<float>(p.queries(head, i));
  const unsigned crossing_key = threshold->prefix;
  unsigned char* row = p.row(head, i);
  Weight sum = 0;
  for (int j = static_cast<int>(threadIdx.x); j < p.columns; j += kThreads) {
    const unsigned key = p.key(head, i, j);
    if (key < crossing_key) continue;
    const float weight = queries * p.weight(head, i, j);
    if (!(weight > 0)) continue;
    if (key > crossing_key) {
      row[j] = 1;
    } else {
      sum += p.units(weight);
    }
  }
  const Weight before = sum_before<kThreads>(sum, of_warps);
  if (threadIdx.x == kThreads - 1) equal[head * p.rows + i] = before + sum;
}

/// equal[n] becomes the sum of those before; one block.
__global__ void __launch_bounds__(kPickThreads) add_rows_before(Weight* equal, int count) {
  __shared__ Weight of_warps[kPickThreads / 32];
  const int each = (count + kPickThreads - 1) / kPickThreads;
  const int first = min(static_cast<int>(threadIdx.x) * each, count);
  const int last = min(first + each, count);
  Weight sum = 0;
  for (int n = first; n < last; ++n) sum += equal[n];
  Weight before = sum_before<kPickThreads>(sum, of_warps);
  for (int n = first; n < last; ++n) {
    const Weight own = equal[n];
    equal[n] = before;
    before += own;
  }
}

/// Takes the first of those that equal the threshold, as many as fit.
__global__ void __launch_bounds__(kThreads)
    choose_equal(const Choose p, const Threshold* threshold, const Weight* before_rows) {
  __shared__ Weight of_warps[kThreads / 32];
  const int i = static_cast<int>(blockIdx.x);
  const int head = static_cast<int>(blockIdx.y);
  const auto queries = static_cast<float>(p.queries(head, i));
  const unsigned crossing_key = threshold->prefix;
  Weight before = before_rows[head * p.rows + i];
  if (queries == 0 || threshold->left <= static_cast<double>(before)) return;
  unsigned char* row = p.row(head, i);
  for (int first = 0; first < p.columns; first += kThreads) {
    const int j = first + static_cast<int>(threadIdx.x);
    float weight = 0;
    if (j < p.columns && p.key(head, i, j) == crossing_key) weight = queries * p.weight(head, i, j);
    const Weight units = p.units(weight);
    if (__syncthreads_or(units != 0 ? 1 : 0) == 0 && __syncthreads_or(weight > 0 ? 1 : 0) == 0)
      continue;
    const Weight own_before = before + sum_before<kThreads>(units, of_warps);
    const double left = threshold->left - static_cast<double>(own_before);
    if (weight > 0 && left > 0 && p.takes(left, static_cast<double>(units))) row[j] = 1;
    __shared__ Weight next;
    if (threadIdx.x == kThreads - 1) next = own_before + units;
    __syncthreads();
    before = next;
  }
}

}  // namespace sparsevid::ops::cuda::choosing
