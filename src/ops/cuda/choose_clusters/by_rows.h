// Choosing in each row by itself.
//
// Plan: a block sorts the keys (bits of the priority, then index) of its row in shared memory and
//   adds up the weights in that order, in f64.
// Shared memory: 8 bytes an entry of a row rounded up to a power of two.
#pragma once

#include "ops/cuda/choose_clusters/problem.h"

namespace sparsevid::ops::cuda::choosing {

/// Descending; `count` is a power of two.
__device__ inline void sort(Weight* keys, int count) {
  for (int size = 2; size <= count; size *= 2) {
    for (int distance = size / 2; distance > 0; distance /= 2) {
      __syncthreads();
      for (int n = static_cast<int>(threadIdx.x); n < count / 2; n += kThreads) {
        const int first = 2 * n - n % distance;
        const int second = first + distance;
        const bool descending = (first & size) == 0;
        const Weight a = keys[first];
        const Weight b = keys[second];
        if ((a < b) != descending) continue;
        keys[first] = b;
        keys[second] = a;
      }
    }
  }
  __syncthreads();
}

/// Fills a row of the choice, and does what depends on no other row.
__global__ void __launch_bounds__(kThreads) choose_rows(const Choose p) {
  extern __shared__ Weight keys[];
  __shared__ double of_warps[kThreads / 32];
  const int i = static_cast<int>(blockIdx.x);
  const int head = static_cast<int>(blockIdx.y);
  const int columns = i < p.rows ? p.columns : 0;
  unsigned char* row = p.row(head, i);
  for (int j = static_cast<int>(threadIdx.x); j < p.k_clusters; j += kThreads)
    row[j] = j < columns ? 0 : 1;
  if (columns == 0 || p.queries(head, i) == 0 || (p.shared && p.at_least <= 0)) return;
  for (int j = static_cast<int>(threadIdx.x); j < p.sorted; j += kThreads) {
    const bool counts = j < columns && p.weight(head, i, j) > 0;
    keys[j] = counts ? Weight{p.key(head, i, j)} << 32 | (0xffffffffU - j) : 0;
  }
  sort(keys, p.sorted);
  const int each = max(1, p.sorted / kThreads);
  const int first = static_cast<int>(threadIdx.x) * each;
  double sum = 0;
  for (int n = first; n < min(first + each, p.sorted); ++n)
    if (keys[n] != 0) sum += p.weight(head, i, 0xffffffffU - static_cast<unsigned>(keys[n]));
  double left = (p.shared ? 0 : p.budget) - sum_before<kThreads>(sum, of_warps);
  for (int n = first; n < min(first + each, p.sorted); ++n) {
    if (keys[n] == 0) break;
    const int j = static_cast<int>(0xffffffffU - static_cast<unsigned>(keys[n]));
    const float weight = p.weight(head, i, j);
    if (n < p.at_least || p.takes(left, weight)) row[j] = 1;
    left -= weight;
  }
}

}  // namespace sparsevid::ops::cuda::choosing
