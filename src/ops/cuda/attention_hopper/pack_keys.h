// Copying keys and values into cluster order and swizzling them: of a few heads before the
// attention, of the others by a few of its blocks, which are heads ahead of it.
#pragma once

#include "ops/cuda/attention_hopper/sparse_plan.h"

namespace sparsevid::ops::cuda {

__device__ inline uint4 load_bf16(const float* from) {
  __nv_bfloat162 pairs[4];
  for (int i = 0; i < 4; ++i) pairs[i] = __floats2bfloat162_rn(from[2 * i], from[2 * i + 1]);
  return *reinterpret_cast<const uint4*>(pairs);
}

/// A warp's share of the atoms of one head: clusters, and atoms of centroids.
template <int kHeadDim>
class HeadPacker {
 public:
  __device__ HeadPacker(const SparsePlan& plan, int head)
      : plan_(plan),
        head_(head),
        atoms_(static_cast<std::int64_t>(head % plan.held_heads) * plan.head_atoms * kAtomBytes) {}

  __device__ void pack(int warp, int warps) const {
    const bool tail = plan_.keys.k_mean != nullptr;
    const int centroid_atoms = tail ? (plan_.k_clusters + kAtomRows - 1) / kAtomRows : 0;
    for (int i = warp; i < plan_.k_clusters + centroid_atoms; i += warps) {
      if (i < plan_.k_clusters)
        pack_cluster(i);
      else
        pack_centroids(i - plan_.k_clusters);
    }
  }

 private:
  static constexpr int kChunks = kHeadDim / 8;  // of 16 bytes in a row
  static constexpr int kAtomBytes = kAtomRows * kHeadDim * 2;

  /// Of a row, counted from the head's first atom.
  __device__ std::int64_t place(int row, int chunk) const {
    return atoms_ + row / kAtomRows * kAtomBytes + chunk / 8 * 1024 + row % kAtomRows * 128 +
           (chunk % 8 ^ row % kAtomRows) * 16;
  }

  __device__ void pack_cluster(int cluster) const {
    constexpr int kLoads = 8;               // of keys and of values, in flight in a lane
    constexpr int kStep = 32 / kChunks;     // rows at a time
    constexpr int kBatch = kLoads * kStep;  // rows in flight
    static_assert(32 % kBatch == 0);
    const KeySources& s = plan_.keys;
    const int lane = threadIdx.x % 32;
    const int chunk = lane % kChunks;
    const ClusterPlace at =
        plan_.places[static_cast<std::int64_t>(head_) * plan_.k_clusters + cluster];
    const int* tokens =
        s.k_order + head_ * s.k_order_stride + s.k_offsets[head_ * s.k_offsets_stride + cluster];
    const __nv_bfloat16* const k = s.k + head_ * s.k_head_stride + 8 * chunk;
    const __nv_bfloat16* const v = s.v + head_ * s.v_head_stride + 8 * chunk;
    for (int first = 0; first < at.rows; first += 32) {
      const int token_of_lane = first + lane < at.rows ? tokens[first + lane] : 0;
#pragma unroll 1
      for (int batch = 0; batch < min(32, at.rows - first); batch += kBatch) {
        uint4 key[kLoads];
        uint4 value[kLoads];
#pragma unroll
        for (int i = 0; i < kLoads; ++i) {
          const int row = batch + i * kStep + lane / kChunks;
          const std::int64_t token = __shfl_sync(~0u, token_of_lane, row);
          if (first + row >= at.rows) continue;
          key[i] = *reinterpret_cast<const uint4*>(k + token * s.k_row_stride);
          value[i] = *reinterpret_cast<const uint4*>(v + token * s.v_row_stride);
        }
#pragma unroll
        for (int i = 0; i < kLoads; ++i) {
          const int row = first + batch + i * kStep + lane / kChunks;
          if (row >= at.rows) continue;
          const std::int64_t to = place(at.atom * kAtomRows + row, chunk);
          *reinterpret_cast<uint4*>(plan_.k + to) = key[i];
          *reinterpret_cast<uint4*>(plan_.v + to) = value[i];
        }
      }
    }
  }

  __device__ void pack_centroids(int atom) const {
    const KeySources& s = plan_.keys;
    for (int i = threadIdx.x % 32; i < kAtomRows * kChunks; i += 32) {
      const int cluster = atom * kAtomRows + i / kChunks;
      const int chunk = i % kChunks;
      if (cluster >= plan_.k_clusters) break;
      const std::int64_t to = place(plan_.centroid_atom * kAtomRows + cluster, chunk);
      *reinterpret_cast<uint4*>(plan_.k + to) = load_bf16(
          s.k_mean + head_ * s.k_mean_head_stride + cluster * s.k_mean_row_stride + 8 * chunk);
      *reinterpret_cast<uint4*>(plan_.v + to) = load_bf16(
          s.v_mean + head_ * s.v_mean_head_stride + cluster * s.v_mean_row_stride + 8 * chunk);
    }
  }

  const SparsePlan& plan_;
  int head_;
  std::int64_t atoms_;  // the head's first, in bytes
};

/// What is added to the count of the blocks that have packed their share of a head when all have.
inline constexpr int kAllPacked = 1 << 16;

/// Waits until another block has counted `counter` up to `value`, and sees what it wrote before.
__device__ inline void wait_for_count(const int* counter, int value) {
  int count;
  while (true) {
    asm volatile("ld.acquire.gpu.global.s32 %0, [%1];" : "=r"(count) : "l"(counter) : "memory");
    if (count >= value) break;
    __nanosleep(100);
  }
}

/// Orders ordinary stores to global memory and what the copy engine reads there.
__device__ inline void fence_async_proxy_global() {
  asm volatile("fence.proxy.async.global;" ::: "memory");
}

/// How many of the grid's blocks begin with packing: enough to be ahead of those that attend.
template <int kHeadDim>
__device__ int packing_blocks(const SparsePlan& plan) {
  if (plan.heads <= plan.packed_heads) return 0;
  constexpr float kCyclesOfKey = kHeadDim / 12.8F;  // for a warpgroup's 64 queries
  constexpr float kBytesOfCycle = 24;               // packed by a block; it may be 40
  const float bytes = static_cast<float>(plan.heads) * static_cast<float>(plan.head_atoms) *
                      static_cast<float>(2 * kAtomRows * kHeadDim * 2);
  const auto amount =
      static_cast<float>(*plan.large.amount) + static_cast<float>(*plan.small.amount);
  const float ratio = bytes / kBytesOfCycle / fmaxf(amount * kCyclesOfKey, 1);
  const auto blocks = static_cast<int>(gridDim.x);
  const auto wanted = static_cast<int>(static_cast<float>(blocks) * ratio / (1 + ratio)) + 1;
  return min(wanted, blocks / 2);
}

/// All threads of the first `packers` blocks: all heads that are not packed yet.
template <int kHeadDim>
__device__ void pack_heads(const SparsePlan& plan, int packers) {
  const int warps = static_cast<int>(blockDim.x) / 32;
  const int warp = static_cast<int>(blockIdx.x) * warps + static_cast<int>(threadIdx.x) / 32;
  for (int head = plan.packed_heads; head < plan.heads; ++head) {
    const int before = head - plan.held_heads;  // where this one goes
    if (before >= 0) wait_for_count(plan.attended + before, plan.pieces[before]);
    HeadPacker<kHeadDim>(plan, head).pack(warp, packers * warps);
    fence_async_proxy_global();
    __syncthreads();
    if (threadIdx.x == 0) {
      __threadfence();
      if (atomicAdd(plan.packed + head, 1) == packers - 1) {
        __threadfence();
        atomicAdd(plan.packed + head, kAllPacked);
      }
    }
  }
}

}  // namespace sparsevid::ops::cuda
