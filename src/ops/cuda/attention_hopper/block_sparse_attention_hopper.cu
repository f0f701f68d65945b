// The problem: query clusters of any size, each with its own list of key clusters of any size.
// Plan: the dense kernel's main loop (attend.h) with another source of tiles. Keys and values are
//   first copied into cluster order and swizzled as they will lie in shared memory (sparse_plan.h),
//   so that a tile is a few runs of bytes, whatever clusters it is made of. What does not fill 8
//   rows of a cluster, and the centroids of the tail, are gathered row by row into tiles of their
//   own, each row with a bias: 0, or ln(size). So no tile but the first of a list is masked.
// Plan of warps: one warpgroup loads: a warp for keys, one for values, two for queries, of which
// the
//   first also takes work from a counter and hands it out. Three compute up to 64 query rows each:
//   a query cluster is cut into pieces of one to three, nearly equal; a warpgroup without queries
//   lets the tiles pass.
// Heads are planned a chunk at a time, to bound the scratch; blocks work on one head at a time, in
//   order, so that the L2 cache holds its keys; in a head the larger pieces come first.
// Shared memory: queries and four tiles each of 80 keys and values at head_dim 128, 212 KiB; three
//   of 112 at 64, 111 KiB.
// Bound: tensor cores, as dense, and of two warpgroups' pieces the L2 cache's bandwidth; every
// query
//   cluster is rounded up to 64 rows.
// Measured and tried: docs/kernels/2026-11-21-hopper-attention.md.
#include "ops/cuda/attention_hopper/block_sparse_attention_hopper.h"

#include <algorithm>
#include <numbers>

#include "ops/cuda/attention_hopper/attend.h"
#include "ops/cuda/attention_hopper/sparse_load.h"
#include "ops/cuda/attention_hopper/store_rows.h"
#include "ops/cuda/common/launch.h"
#include "ops/cuda/common/tensor_map.h"

namespace sparsevid::ops::cuda {
namespace {

/// The key tiles of one piece of work: atoms, then rows.
template <class Tile>
class SparseKeys {
 public:
  __device__ explicit SparseKeys(SparseShared<Tile>& shared) : shared_(shared) {}

  /// Whether there is any tile.
  __device__ bool restart(const SparseWork& work) {
    const SparseTiles<Tile> tiles(work);
    left_ = tiles.count();
    of_rows_ = tiles.of_rows;
    first_keys_ = tiles.of_atoms > 0 ? tiles.first_atoms(work) * kAtomRows : 0;
    return left_ > 0;
  }
  __device__ bool last() const { return left_ == 0; }
  /// For a warpgroup without queries: lets all tiles pass.
  __device__ void pass(PipelineTurn<Tile::kStages>& turn) {
#pragma unroll 1
    while (!last()) {
      wait_k(turn.stage, turn.parity);
      release(&shared_.k_empty[turn.stage]);
      wait_v(turn.stage, turn.parity);
      release(&shared_.v_empty[turn.stage]);
      turn.advance();
    }
  }
  __device__ void wait_k(int stage, std::uint32_t parity) {
    barrier_wait(&shared_.k_full[stage], parity);
    --left_;
    // The rows came by cp.async, which the tensor cores see only after this.
    if (gathered()) fence_async_proxy();
  }
  __device__ void wait_v(int stage, std::uint32_t parity) {
    barrier_wait(&shared_.v_full[stage], parity);
    // Perhaps the keys waited for since are gathered and these are not; never the other way round.
    if (gathered()) fence_async_proxy();
  }
  __device__ void release_k(int stage) {
    stage_ = stage;
    if (!gathered()) release(&shared_.k_empty[stage]);  // else when the bias is read
  }
  __device__ void release_v(int stage) { release(&shared_.v_empty[stage]); }

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
    release(&shared_.k_empty[stage_]);
  }

 private:
  __device__ static void release(Barrier* barrier) {
    __syncwarp();
    if (threadIdx.x % 32 == 0) barrier_arrive(barrier);
  }

  /// Whether the tile waited for last is one of rows.
  __device__ bool gathered() const { return left_ < of_rows_; }

  SparseShared<Tile>& shared_;
  int left_ = 0;
  int of_rows_ = 0;
  int first_keys_ = 0;
  int stage_ = 0;
};

template <class Tile>
__device__ void compute_sparse(const SparseArguments& a, SparseShared<Tile>& shared) {
  const int warpgroup = this_warpgroup() - 1;
  const int lane = threadIdx.x % 32;
  const int row = 64 * warpgroup + threadIdx.x % 128 / 32 * 16 + lane / 4;
  IssueTurnOfSome<Tile::kWarpgroups> issue(warpgroup);
  SparseKeys<Tile> keys(shared);
  PipelineTurn<1> queries;
  PipelineTurn<Tile::kStages> turn;
  for_each_work(shared.work, [&](const SparseWork& work) {
    float o[Tile::kHeadDim / 2];
    OnlineSoftmax softmax(a.scale_log2);
    const auto queries_done = [&] {
      if (lane == 0) barrier_arrive(&shared.q_empty);
    };
    barrier_wait(&shared.q_full, queries.parity);
    queries.advance();
    fence_async_proxy();
    const bool any = keys.restart(work);
    if (64 * warpgroup >= work.q_rows) {
      queries_done();
      keys.pass(turn);
      return;
    }
    issue.take_part((work.q_rows + 63) / 64);
    if (any) {
      attend<Tile>(shared, warpgroup, keys, turn, issue, softmax, o, queries_done);
    } else {
      queries_done();
#pragma unroll
      for (float& x : o) x = 0;
    }
    __nv_bfloat16* rows[2];
    rows_of_tokens(rows, shared.tokens[queries.parity ^ 1], row, a.out, work.head);
    store_rows(
        o, [&](int h) { return any ? softmax.normaliser(h) : 0; }, rows);
  });
}

template <class Tile>
__global__ void __launch_bounds__(Tile::kThreads, 1)
    block_sparse_kernel(const __grid_constant__ SparseArguments a) {
  extern __shared__ __align__(1024) unsigned char memory[];
  auto& shared = *reinterpret_cast<SparseShared<Tile>*>(memory);
  if (threadIdx.x == 0) {
    constexpr int kWarps = 4 * Tile::kWarpgroups;
    barrier_init(&shared.q_full, kQueryArrivals);
    barrier_init(&shared.q_empty, kWarps);
    for (int stage = 0; stage < Tile::kStages; ++stage) {
      barrier_init(&shared.k_full[stage], 33);
      barrier_init(&shared.v_full[stage], 32);
      barrier_init(&shared.k_empty[stage], kWarps);
      barrier_init(&shared.v_empty[stage], kWarps);
    }
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
      QueryLoader<Tile, 0> loader(a.q, shared);
      const int count = *a.plan.work_count;
      const auto take = [&](SparseWork& work) {
        const int index = atomicAdd(a.plan.next_work, 1);
        if (index < count)
          work = a.plan.work[index];
        else
          work.head = -1;
      };
      hand_out_work(shared.work, take, [&](const SparseWork& work) {
        loader.load(work.head, work.q_rows, token_of(work));
      });
    } else {
      QueryLoader<Tile, 1> loader(a.q, shared);
      for_each_work(shared.work, [&](const SparseWork& work) {
        loader.load(work.head, work.q_rows, token_of(work));
      });
    }
  } else {
    take_registers<Tile::kComputeRegisters>();
    compute_sparse(a, shared);
  }
}

template <class Tile>
void run(const BlockSparseAttentionParams& params, Context& context) {
  const cudaStream_t stream = stream_of(context);
  const auto heads = static_cast<int>(params.q.size(0));
  constexpr std::size_t kScratch = 1'200'000'000;
  const auto at_once =
      static_cast<int>(std::clamp<std::size_t>(kScratch / sparse_plan_bytes(params), 1, heads));
  const int chunks = ceil_div(heads, at_once);
  constexpr int kSharedBytes = sizeof(SparseShared<Tile>);
  static_assert(kSharedBytes <= 227 * 1024);
  static const cudaError_t allowed = cudaFuncSetAttribute(
      block_sparse_kernel<Tile>, cudaFuncAttributeMaxDynamicSharedMemorySize, kSharedBytes);
  check(allowed, "block_sparse_attention");
  for (int chunk = 0; chunk < chunks; ++chunk) {
    const int first = heads * chunk / chunks;
    const int count = heads * (chunk + 1) / chunks - first;
    const Arena::Scope scope(context.arena);
    SparseArguments a{};
    a.plan = plan_sparse(params, first, count, Tile::kRows, context.arena, stream);
    a.q = {static_cast<const __nv_bfloat16*>(params.q.data()) + first * params.q.stride(0),
           params.q.stride(0), params.q.stride(1)};
    a.out = {static_cast<__nv_bfloat16*>(params.out.data()) + first * params.out.stride(0),
             params.out.stride(0), params.out.stride(1)};
    a.q_order = params.q_order.as<std::int32_t>() + first * params.q_order.stride(0);
    a.q_order_stride = params.q_order.stride(0);
    a.scale_log2 = static_cast<float>(params.scale * std::numbers::log2e);
    block_sparse_kernel<Tile>
        <<<device_facts().multiprocessors, Tile::kThreads, kSharedBytes, stream>>>(a);
    check_launch("block_sparse_attention");
  }
}

}  // namespace

std::string block_sparse_attention_hopper_refusal(const BlockSparseAttentionParams& params,
                                                  const Context&) {
  if (device_facts().compute_capability != 90) return "needs compute capability 9.0";
  if (params.q.dtype() != DType::bf16) return "bf16 only";
  if (params.q.size(2) != 64 && params.q.size(2) != 128) return "head_dim is not 64 or 128";
  if (!(params.scale > 0)) return "scale is not positive";
  for (const TensorView* view : {&params.q, &params.k, &params.v, &params.out})
    if (std::string reason = head_rows_refusal(*view); !reason.empty()) return reason;
  return {};
}

void block_sparse_attention_hopper(const BlockSparseAttentionParams& params, Context& context) {
  if (params.q.numel() == 0) return;
  constexpr auto kOrder = AtomOrder::columns_first;
  if (params.q.size(2) == 128)
    run<AttentionTile<128, 80, 3, kOrder, 4, 56>>(params, context);
  else
    run<AttentionTile<64, 112, 3, kOrder, 3, 56>>(params, context);
}

}  // namespace sparsevid::ops::cuda
