// The problem: as attention_hopper/block_sparse_attention_hopper.cu, in 8 bits.
// Plan: the dense kernel's main loop (attend.h) with another source of tiles. Queries, keys and
//   values are first rounded and copied into cluster order (sparse_plan.h), keys as atoms of 16
//   that have one scale in a head, so that a tile is any 12 atoms that are listed. The centroids of
//   a head are tiles of their own, which every query cluster attends to, with a bias of its own
//   that leaves out those of the clusters it has chosen. Nothing is gathered row by row.
// Plan of warps: one warpgroup loads: a warp for keys, one for values, one that takes work from a
//   counter and hands it out. Two compute up to 64 query rows each, which they read into registers;
//   a warpgroup without queries lets the tiles pass.
// Heads are planned a chunk at a time, to bound the scratch; blocks work on one head at a time, in
//   order, so that the L2 cache holds its keys; in a head pieces with long lists come first.
// Shared memory: two tiles each of keys and values of 192 keys and 68 KiB of f32 sums, 169 KiB at
//   head_dim 128; 88 KiB at 64.
// Bound: as dense in 8 bits; key clusters are rounded up to 16 keys, query clusters to 64 rows, and
//   an odd number of these costs nearly as much as one more.
// Measured and tried: docs/kernels/2026-11-21-8bit-attention.md.
#include "ops/cuda/attention_hopper_8bit/block_sparse_attention_8bit.h"

#include <algorithm>

#include "ops/cuda/attention_hopper/refusal.h"
#include "ops/cuda/attention_hopper/store_rows.h"
#include "ops/cuda/attention_hopper/tile_stream.h"
#include "ops/cuda/attention_hopper/work_slots.h"
#include "ops/cuda/attention_hopper_8bit/attend.h"
#include "ops/cuda/attention_hopper_8bit/sparse_plan.h"
#include "ops/cuda/common/tma.h"

namespace sparsevid::ops::cuda {
namespace {

struct Sparse8Arguments {
  SparsePlan8 plan;
  __nv_bfloat16* out;
  std::int64_t out_head_stride;
  std::int64_t out_row_stride;
  const int* q_order;
  std::int64_t q_order_stride;
};

template <class Tile>
struct SparseShared8 : Shared8<Tile> {
  WorkSlots<SparseWork> work;
};

template <class Tile>
struct SparseTiles8 {
  int of_atoms;
  int of_centroids;

  __device__ SparseTiles8(const SparsePlan8& plan, const SparseWork& work)
      : of_atoms((work.keys.atoms + Tile::kAtoms - 1) / Tile::kAtoms),
        of_centroids(plan.centroid_atoms / Tile::kAtoms) {}
  __device__ int count() const { return of_atoms + of_centroids; }
};

/// One warp: all keys of a piece of work, or all values.
template <class Tile, bool kValues>
class SparseLoader8 {
 public:
  __device__ SparseLoader8(const SparsePlan8& plan, SparseShared8<Tile>& shared)
      : plan_(plan), shared_(shared) {}

  __device__ void load(const SparseWork& work) {
    const SparseTiles8<Tile> tiles(plan_, work);
    const unsigned char* const source =
        (kValues ? plan_.v : plan_.k) +
        static_cast<std::int64_t>(work.head) * plan_.head_atoms * kAtomBytes;
    load_listed(work, tiles.of_atoms, source);
    load_centroids(tiles.of_centroids, source);
  }

 private:
  static constexpr int kAtomBytes =
      kValues ? value_atom_bytes(Tile::kHeadDim) : key_atom_bytes(Tile::kHeadDim);
  static constexpr int kTileBytes = Tile::kAtoms * kAtomBytes;

  __device__ unsigned char* tile() const {
    if constexpr (kValues)
      return shared_.v[turn_.stage];
    else
      return shared_.k[turn_.stage];
  }
  __device__ Barrier* full() const {
    return &(kValues ? shared_.v_full : shared_.k_full)[turn_.stage];
  }
  /// Waits until the tile is free; then `bytes` will come.
  __device__ void begin(int bytes) const {
    barrier_wait(&(kValues ? shared_.v_empty : shared_.k_empty)[turn_.stage], turn_.parity ^ 1);
    if (threadIdx.x % 32 == 0) barrier_arrive_expect(full(), bytes);
    __syncwarp();
  }

  /// A lane copies an atom. What the last tile has no atoms for are keys of the first one again,
  /// which change no maximum, and zeros as values.
  __device__ void load_listed(const SparseWork& work, int tiles, const unsigned char* source) {
    const int lane = threadIdx.x % 32;
    const int* const atoms = plan_.atoms + static_cast<std::int64_t>(work.pair) * plan_.pair_atoms;
    const int beyond =
        kValues ? (plan_.heads - work.head) * plan_.head_atoms : (tiles > 0 ? atoms[0] : 0);
    const auto read = [&](int at) { return at < work.keys.atoms ? atoms[at] : beyond; };
    int next = read(lane);  // ahead of its use
    for (int i = 0; i < tiles; ++i) {
      const int atom = next;
      next = read((i + 1) * Tile::kAtoms + lane);
      begin(kTileBytes);
      if (lane < Tile::kAtoms)
        copy_bytes(tile() + lane * kAtomBytes,
                   source + static_cast<std::int64_t>(atom) * kAtomBytes, kAtomBytes, full(),
                   keep_);
      turn_.advance();
    }
  }

  __device__ void load_centroids(int tiles, const unsigned char* source) {
    source += static_cast<std::int64_t>(plan_.centroid_atom) * kAtomBytes;
    for (int i = 0; i < tiles; ++i) {
      begin(kTileBytes);
      if (threadIdx.x % 32 == 0) copy_bytes(tile(), source, kTileBytes, full(), keep_);
      source += kTileBytes;
      turn_.advance();
    }
  }

  const SparsePlan8& plan_;
  SparseShared8<Tile>& shared_;
  std::uint64_t keep_ = l2_keep();
  PipelineTurn<Tile::kStages> turn_;
};

/// The key tiles of one piece of work: listed atoms, then centroids. Their bias is read from global
/// memory: beside the tile, a read would have to be ordered before the copy of the next one.
template <class Tile>
class SparseKeys8 : public TileStream<SparseShared8<Tile>> {
 public:
  using TileStream<SparseShared8<Tile>>::TileStream;

  __device__ void restart(const SparseTiles8<Tile>& tiles, const float* bias) {
    TileStream<SparseShared8<Tile>>::restart(tiles.count());
    of_centroids_ = tiles.of_centroids;
    bias_ = bias;
  }
  __device__ bool biased() const { return this->left_ <= of_centroids_; }
  __device__ const float* bias() const {
    return bias_ + (of_centroids_ - this->left_) * Tile::kKeys;
  }
  /// That of all keys is in the scales of the queries.
  __device__ float scale() const { return 1; }
  /// For a warpgroup without queries: lets all tiles pass.
  __device__ void pass(PipelineTurn<Tile::kStages>& turn) {
#pragma unroll 1
    while (!this->last()) {
      this->wait_k(turn.stage, turn.parity);
      __syncwarp();
      this->release_k(turn.stage);
      this->wait_v(turn.stage, turn.parity);
      __syncwarp();
      this->release_v(turn.stage);
      turn.advance();
    }
  }

 private:
  int of_centroids_ = 0;
  const float* bias_ = nullptr;
};

template <class Tile, int kPolynomialsOf16, int kKeepEvery>
__device__ void compute_sparse_8bit(const Sparse8Arguments& a, SparseShared8<Tile>& shared) {
  constexpr int kHeadDim = Tile::kHeadDim;
  const int warpgroup = this_warpgroup() - 1;
  const int lane = threadIdx.x % 32;
  const int row = 64 * warpgroup + threadIdx.x % 128 / 32 * 16 + lane / 4;
  SparseKeys8<Tile> keys(shared);
  PipelineTurn<Tile::kStages> turn;
  for_each_work(shared.work, [&](const SparseWork& work) {
    keys.restart(
        SparseTiles8<Tile>(a.plan, work),
        a.plan.bias + static_cast<std::int64_t>(work.pair) * a.plan.centroid_atoms * kAtomKeys);
    const bool any = !keys.last();
    if (64 * warpgroup >= work.q_rows) {
      keys.pass(turn);
      return;
    }
    // Rows beyond the last are the last again, and not stored.
    const std::int64_t head = work.head;
    const auto place = [&](int h) { return work.q_begin + min(row + 8 * h, work.q_rows - 1); };
    float result[kHeadDim / 2];
    if (any) {
      const std::int64_t first = head * a.plan.q_len;
      Softmax8<kPolynomialsOf16> softmax(a.plan.q_scale[first + place(0)],
                                         a.plan.q_scale[first + place(1)]);
      const QueryRegisters<kHeadDim> q(a.plan.q + (first + place(0)) * kHeadDim,
                                       a.plan.q + (first + place(1)) * kHeadDim);
      float o[Tile::kSums];
      attend_8bit<Tile, kPolynomialsOf16, kKeepEvery>(shared, q, warpgroup, keys, turn, softmax, o);
      finish_output<Tile>(o, a.plan.v_scale + head * kHeadDim, a.plan.v_mean + head * kHeadDim,
                          result);
    } else {
#pragma unroll
      for (float& x : result) x = 0;
    }
    const int* const order = a.q_order + head * a.q_order_stride;
    __nv_bfloat16* rows[2];
#pragma unroll
    for (int h = 0; h < 2; ++h)
      rows[h] = row + 8 * h < work.q_rows
                    ? a.out + head * a.out_head_stride + order[place(h)] * a.out_row_stride
                    : nullptr;
    store_rows(
        result, [](int) { return 1.0F; }, rows);
  });
}

template <class Tile, int kPolynomialsOf16, int kKeepEvery>
__global__ void __launch_bounds__(Tile::kThreads, 1)
    block_sparse_8bit(const __grid_constant__ Sparse8Arguments a) {
  extern __shared__ __align__(128) unsigned char memory[];
  auto& shared = *reinterpret_cast<SparseShared8<Tile>*>(memory);
  if (threadIdx.x == 0) {
    constexpr int kWarps = 4 * Tile::kWarpgroups;
    init_tile_barriers(shared, 1, 1, kWarps);
    shared.work.init(2 + kWarps);
    barrier_init_fence();
  }
  __syncthreads();

  if (threadIdx.x < kWarpgroupThreads) {
    give_up_registers<Tile::kLoadRegisters>();
    const int warp = threadIdx.x / 32;
    if (warp == 0) {
      SparseLoader8<Tile, false> loader(a.plan, shared);
      for_each_work(shared.work, [&](const SparseWork& work) { loader.load(work); });
    } else if (warp == 1) {
      SparseLoader8<Tile, true> loader(a.plan, shared);
      for_each_work(shared.work, [&](const SparseWork& work) { loader.load(work); });
    } else if (warp == 2) {
      const WorkQueue& queue = a.plan.large;
      const auto take = [&](SparseWork& work) {
        const int index = atomicAdd(queue.next, 1);
        if (index < *queue.count)
          work = queue.work[index];
        else
          work.head = -1;
      };
      hand_out_work(shared.work, take, [](const SparseWork&) {});
    }
  } else {
    take_registers<Tile::kComputeRegisters>();
    compute_sparse_8bit<Tile, kPolynomialsOf16, kKeepEvery>(a, shared);
  }
}

template <class Tile, int kPolynomialsOf16, int kKeepEvery>
void run(const BlockSparseAttentionParams& params, Context& context) {
  const cudaStream_t stream = stream_of(context);
  const auto heads = static_cast<int>(params.q.size(0));
  constexpr std::size_t kScratch = 1'200'000'000;
  const auto at_once = static_cast<int>(
      std::clamp<std::size_t>(kScratch / sparse_plan_bytes_8bit(params, Tile::kAtoms), 1, heads));
  const int chunks = ceil_div(heads, at_once);
  constexpr int kSharedBytes = sizeof(SparseShared8<Tile>);
  static_assert(kSharedBytes <= 227 * 1024 && kWorkRows8 == Tile::kRows);
  const auto kernel = block_sparse_8bit<Tile, kPolynomialsOf16, kKeepEvery>;
  allow_shared_memory(kernel, kSharedBytes, "block_sparse_attention_8bit");
  for (int chunk = 0; chunk < chunks; ++chunk) {
    const int first = heads * chunk / chunks;
    const int count = heads * (chunk + 1) / chunks - first;
    const Arena::Scope scope(context.arena);
    Sparse8Arguments a{};
    a.plan = plan_sparse_8bit(params, first, count, Tile::kAtoms, context.arena, stream);
    a.out = static_cast<__nv_bfloat16*>(params.out.data()) + first * params.out.stride(0);
    a.out_head_stride = params.out.stride(0);
    a.out_row_stride = params.out.stride(1);
    a.q_order = params.q_order.as<std::int32_t>() + first * params.q_order.stride(0);
    a.q_order_stride = params.q_order.stride(0);
    kernel<<<device_facts().multiprocessors, Tile::kThreads, kSharedBytes, stream>>>(a);
    check_launch("block_sparse_attention_8bit");
  }
}

}  // namespace

std::string block_sparse_attention_8bit_hopper_refusal(const BlockSparseAttention8bitParams& params,
                                                       const Context&) {
  if (params.k.size(1) == 0) return "there are no keys";
  return hopper_attention_refusal(params);
}

void block_sparse_attention_8bit_hopper(const BlockSparseAttention8bitParams& params,
                                        Context& context) {
  if (params.q.numel() == 0) return;
  if (params.q.size(2) == 128)
    run<Tile8<128, 192>, 0, 16>(params, context);
  else
    run<Tile8<64, 192>, 3, 16>(params, context);
}

}  // namespace sparsevid::ops::cuda
