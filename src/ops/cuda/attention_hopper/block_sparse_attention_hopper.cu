// The problem: query clusters of any size, each with its own list of key clusters of any size.
// Plan: the dense kernel's main loop (attend.h) with another source of tiles. Keys and values are
//   copied into cluster order and swizzled as they will lie in shared memory (sparse_plan.h), so
//   that a tile is a few runs of bytes, whatever clusters it is made of. What does not fill 8 rows
//   of a cluster, and the centroids of the tail, are gathered row by row into tiles of their own,
//   each row with a bias: 0, or ln(size), and come spread among the others, as a warp takes longer
//   to gather a tile than it is worked on. So no tile but the first of a list is masked.
// A query cluster is cut into pieces of one to three warpgroups of 64 queries, nearly equal. Most
//   blocks have three computing warpgroups and take the pieces of three; the others have two with
//   larger tiles and take the smaller pieces, so that neither tile nor warpgroups are too small.
// A few blocks begin with copying (pack_keys.h), some heads ahead of the others, into room for six
//   heads; then they attend as well. All walk over the heads in order, and within a head from the
//   longest list of keys to the shortest, so that the L2 cache has most of what they read.
// Plan of warps: one warpgroup loads: a warp for keys, one for values, two for queries, of which
//   the first also takes work from a counter and hands it out.
// Shared memory at head_dim 128: queries and four tiles each of 80 keys and values, 208 KiB, or
//   three of 112 keys and queries for two warpgroups, 200 KiB. At 64: four of 112, 136 KiB.
// Bound: tensor cores, in fact power, as dense; every query cluster is rounded up to 64 rows.
// Measured and tried: docs/kernels/2026-11-21-hopper-attention.md.
#include "ops/cuda/attention_hopper/block_sparse_attention_hopper.h"

#include <algorithm>
#include <numbers>
#include <type_traits>

#include "ops/cuda/attention_hopper/attend.h"
#include "ops/cuda/attention_hopper/refusal.h"
#include "ops/cuda/attention_hopper/sparse_load.h"
#include "ops/cuda/attention_hopper/store_rows.h"
#include "ops/cuda/attention_hopper/tile_stream.h"
#include "ops/cuda/common/launch.h"

namespace sparsevid::ops::cuda {
namespace {

/// The key tiles of one piece of work, of atoms and of rows.
template <class Tile>
class SparseKeys : public TileStream<SparseShared<Tile>> {
  using Stream = TileStream<SparseShared<Tile>>;
  using Stream::left_;
  using Stream::shared_;

 public:
  using Stream::last;

  __device__ SparseKeys(SparseShared<Tile>& shared, int warpgroup)
      : Stream(shared), warpgroup_(warpgroup) {}

  /// Whether there is any tile.
  __device__ bool restart(const SparseWork& work) {
    const SparseTiles<Tile> tiles(work);
    Stream::restart(tiles.count());
    distance_ = tiles.distance;
    next_rows_ = (tiles.of_rows - 1) * distance_;
    values_gathered_ = false;
    first_keys_ = tiles.of_atoms > 0 ? tiles.first_atoms(work) * kAtomRows : 0;
    return left_ > 0;
  }
  /// For a warpgroup without queries: lets all tiles pass.
  __device__ void pass(PipelineTurn<Tile::kStages>& turn) {
#pragma unroll 1
    while (!last()) {
      wait_k(turn.stage, turn.parity);
      Stream::release_k(turn.stage);
      wait_v(turn.stage, turn.parity);
      this->release_v(turn.stage);
      turn.advance();
    }
  }
  __device__ void wait_k(int stage, std::uint32_t parity) {
    Stream::wait_k(stage, parity);
    // The rows came by cp.async, which the tensor cores see only after this.
    if (gathered()) fence_async_proxy();
  }
  __device__ void wait_v(int stage, std::uint32_t parity) {
    Stream::wait_v(stage, parity);
    if (values_gathered_) fence_async_proxy();
    values_gathered_ = false;
  }
  __device__ void release_k(int stage) {
    stage_ = stage;
    if (!gathered()) Stream::release_k(stage);  // else when the bias is read
    if (last()) release_queries();
  }
  /// A piece's last logits are computed, so that the next one's queries come beside its softmax.
  __device__ void release_queries() {
    if (threadIdx.x % 32 == 0) barrier_arrive(shared_.empty(warpgroup_));
  }

  __device__ void apply_first(float (&s)[Tile::kKeys / 2]) {
    if (first_keys_ == 0) return apply(s);
#pragma unroll
    for (int i = 0; i < Tile::kKeys / 2; ++i)
      if (i / 4 * 8 >= first_keys_) s[i] = -INFINITY;
  }
  __device__ void apply(float (&s)[Tile::kKeys / 2]) {
    if (!gathered()) return;
    const float* bias = shared_.bias[stage_] + 2 * (threadIdx.x % 4);
#pragma unroll
    for (int i = 0; i < Tile::kKeys / 2; i += 4) {
      const float2 b = *reinterpret_cast<const float2*>(bias + 2 * i);
      s[i] += b.x;
      s[i + 1] += b.y;
      s[i + 2] += b.x;
      s[i + 3] += b.y;
    }
    __syncwarp();
    Stream::release_k(stage_);
    next_rows_ -= distance_;
    values_gathered_ = true;
  }

 private:
  /// Whether the tile waited for last is one of rows.
  __device__ bool gathered() const { return left_ == next_rows_; }

  int warpgroup_;
  int distance_ = 0;   // SparseTiles::are_rows, counted down
  int next_rows_ = 0;  // how many tiles come after the next tile of rows; negative: there is none
  bool values_gathered_ = false;  // of the tile whose values are waited for next
  int first_keys_ = 0;
  int stage_ = 0;
};

template <class Tile>
__device__ void compute_sparse(const SparseArguments& a, SparseShared<Tile>& shared) {
  const int warpgroup = this_warpgroup() - 1;
  const int lane = threadIdx.x % 32;
  const int row = 64 * warpgroup + threadIdx.x % 128 / 32 * 16 + lane / 4;
  IssueTurnOfSome<Tile::kWarpgroups> issue(warpgroup);
  SparseKeys<Tile> keys(shared, warpgroup);
  PipelineTurn<1> queries;
  PipelineTurn<Tile::kStages> turn;
  for_each_work(shared.work, [&](const SparseWork& work) {
    float o[Tile::kHeadDim / 2];
    OnlineSoftmax softmax(a.scale_log2);
    barrier_wait(shared.full(warpgroup), queries.parity);
    queries.advance();
    fence_async_proxy();
    const bool any = keys.restart(work);
    if (64 * warpgroup >= work.q_rows) {
      keys.release_queries();
      keys.pass(turn);
      return;
    }
    issue.take_part((work.q_rows + 63) / 64);
    if (any) {
      attend<Tile>(shared, warpgroup, keys, turn, issue, softmax, o, [] {});
    } else {
      keys.release_queries();
#pragma unroll
      for (float& x : o) x = 0;
    }
    if (threadIdx.x == kWarpgroupThreads) atomicAdd(a.plan.attended + work.head, 1);
    __nv_bfloat16* rows[2];
    rows_of_tokens(rows, shared.tokens[queries.parity ^ 1], row, a.out, work.head);
    store_rows(
        o, [&](int h) { return any ? softmax.normaliser(h) : 0; }, rows);
  });
}

/// One thread: the next work; large work, while there is any, unless only small work is wanted.
template <bool kSmall>
__device__ void take_work(const SparsePlan& plan, SparseWork& work) {
  if constexpr (!kSmall) {
    const int index = atomicAdd(plan.large.next, 1);
    if (index < *plan.large.count) {
      work = plan.large.work[index];
      return;
    }
  }
  const int index = atomicAdd(plan.small.next, 1);
  if (index < *plan.small.count)
    work = plan.small.work[index];
  else
    work.head = -1;
}

/// All that a block does with one shape of tile.
template <class Tile, bool kSmall>
__device__ void attend_with(const SparseArguments& a, unsigned char* memory) {
  auto& shared = *reinterpret_cast<SparseShared<Tile>*>(memory);
  if (threadIdx.x == 0) {
    constexpr int kWarps = 4 * Tile::kWarpgroups;
    for (int warpgroup = 0; warpgroup < Tile::kWarpgroups; ++warpgroup) {
      barrier_init(shared.full(warpgroup), kQueryArrivals);
      barrier_init(shared.empty(warpgroup), kWarpgroupThreads / 32);
    }
    init_tile_barriers(shared, 33, 32, kWarps);
    shared.work.init(3 + kWarps);
    barrier_init_fence();
  }
  __syncthreads();

  if (threadIdx.x < kWarpgroupThreads) {
    give_up_registers<Tile::kLoadRegisters>();
    const auto token_of = [&](const SparseWork& work) {
      const int* const order = a.q_order + work.head * a.q_order_stride + work.q_begin;
      return [order](int row) { return order[row]; };
    };
    const int warp = threadIdx.x / 32;
    if (warp == 0) {
      SparseLoader<Tile, false> loader(a, shared);
      for_each_work(shared.work, [&](const SparseWork& work) { loader.load(work); });
    } else if (warp == 1) {
      SparseLoader<Tile, true> loader(a, shared);
      for_each_work(shared.work, [&](const SparseWork& work) { loader.load(work); });
    } else if (warp == 2) {
      QueryLoader<Tile, 0, Tile::kWarpgroups> loader(a.q, shared);
      const auto take = [&](SparseWork& work) { take_work<kSmall>(a.plan, work); };
      hand_out_work(shared.work, take, [&](const SparseWork& work) {
        loader.load(work.head, work.q_rows, token_of(work));
      });
    } else {
      QueryLoader<Tile, 1, Tile::kWarpgroups> loader(a.q, shared);
      for_each_work(shared.work, [&](const SparseWork& work) {
        loader.load(work.head, work.q_rows, token_of(work));
      });
    }
  } else if (this_warpgroup() <= Tile::kWarpgroups) {
    take_registers<Tile::kComputeRegisters>();
    compute_sparse(a, shared);
  } else {
    give_up_registers<Tile::kIdleRegisters>();
  }
}

/// How many of the grid's blocks take small work alone: a little less than their share, and the
/// others help when they have no large work any more. Of either there is one at least, as heads are
/// packed only when others are done with.
__device__ int blocks_for_small_work(const SparsePlan& plan, int packers) {
  const auto large = static_cast<float>(*plan.large.amount);
  const auto small = static_cast<float>(*plan.small.amount);
  const int blocks = static_cast<int>(gridDim.x) - packers;
  const auto share = static_cast<int>(static_cast<float>(blocks) * small / (large + small));
  return max(min(share, blocks - (large > 0 ? 1 : 0)), small > 0 ? 1 : 0);
}

template <class LargeTile, class SmallTile>
__global__ void __launch_bounds__(LargeTile::kThreads, 1)
    block_sparse_kernel(const __grid_constant__ SparseArguments a) {
  extern __shared__ __align__(1024) unsigned char memory[];
  constexpr bool kTwoTiles = !std::is_same_v<LargeTile, SmallTile>;
  const int packers = packing_blocks<LargeTile::kHeadDim>(a.plan);
  const auto block = static_cast<int>(blockIdx.x);
  if (block < packers) pack_heads<LargeTile::kHeadDim>(a.plan, packers);
  if (kTwoTiles && block >= static_cast<int>(gridDim.x) - blocks_for_small_work(a.plan, packers))
    attend_with<SmallTile, true>(a, memory);
  else
    attend_with<LargeTile, false>(a, memory);
}

template <class LargeTile, class SmallTile>
void run(const BlockSparseAttentionParams& params, Context& context) {
  const cudaStream_t stream = stream_of(context);
  const auto heads = static_cast<int>(params.q.size(0));
  constexpr std::size_t kScratch = 1'200'000'000;
  const int at_once = heads_planned_in(params, kScratch);
  const int chunks = ceil_div(heads, at_once);
  constexpr int kThreads = LargeTile::kThreads;
  static_assert(SmallTile::kThreads == kThreads);
  constexpr int kSharedBytes =
      std::max(sizeof(SparseShared<LargeTile>), sizeof(SparseShared<SmallTile>));
  static_assert(kSharedBytes <= 227 * 1024);
  // With one shape of tile all work is in one queue, in order of the heads.
  constexpr int kSmallRows = std::is_same_v<LargeTile, SmallTile> ? 0 : SmallTile::kRows;
  const auto kernel = block_sparse_kernel<LargeTile, SmallTile>;
  static const cudaError_t allowed =
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kSharedBytes);
  check(allowed, "block_sparse_attention");
  for (int chunk = 0; chunk < chunks; ++chunk) {
    const int first = heads * chunk / chunks;
    const int count = heads * (chunk + 1) / chunks - first;
    const Arena::Scope scope(context.arena);
    SparseArguments a{};
    a.plan = plan_sparse(params, first, count, LargeTile::kRows, kSmallRows, context.arena, stream);
    a.q = {static_cast<const __nv_bfloat16*>(params.q.data()) + first * params.q.stride(0),
           params.q.stride(0), params.q.stride(1)};
    a.out = {static_cast<__nv_bfloat16*>(params.out.data()) + first * params.out.stride(0),
             params.out.stride(0), params.out.stride(1)};
    a.q_order = params.q_order.as<std::int32_t>() + first * params.q_order.stride(0);
    a.q_order_stride = params.q_order.stride(0);
    a.scale_log2 = static_cast<float>(params.scale * std::numbers::log2e);
    // Blocks wait for each other, so all must run at once.
    void* arguments[] = {&a};
    check(cudaLaunchCooperativeKernel(kernel, dim3(device_facts().multiprocessors), dim3(kThreads),
                                      arguments, kSharedBytes, stream),
          "block_sparse_attention");
  }
}

}  // namespace

std::string block_sparse_attention_hopper_refusal(const BlockSparseAttentionParams& params,
                                                  const Context&) {
  return hopper_attention_refusal(params);
}

void block_sparse_attention_hopper(const BlockSparseAttentionParams& params, Context& context) {
  if (params.q.numel() == 0) return;
  constexpr auto kOrder = AtomOrder::columns_first;
  using Tile64 = AttentionTile<64, 112, 3, kOrder, 4, 56>;
  if (params.q.size(2) == 128)
    run<AttentionTile<128, 80, 3, kOrder, 4, 56>, AttentionTile<128, 112, 2, kOrder, 3, 80, 1>>(
        params, context);
  else
    run<Tile64, Tile64>(params, context);
}

}  // namespace sparsevid::ops::cuda
