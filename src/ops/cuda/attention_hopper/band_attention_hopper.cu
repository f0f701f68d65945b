// The problem: queries that see the keys of a band around them in frame-major or in position-major
//   order, the first frame, and what is outside the video (ops/band_mask.h). At 21 x 3600 tokens
//   and a band of a fifth, .2 of dense attention's operations.
// Plan: the dense kernel's main loop (attend.h) over the tiles that any query of a piece of work
//   sees (band_tiles.h). Frame-major tiles are boxes of neighbouring tokens. A position-major tile
//   is one box too: of all frames but the first, by some positions, which the copy engine puts
//   into that order, so nothing is permuted in memory. Masked are the tiles at the band's edges
//   and the last ones of the other sections.
// Plan of warps: one warpgroup loads: a warp for keys and values, which also takes the work from a
//   counter and hands it out; two warps gather queries. The others compute 64 query rows each.
// Shared memory: queries, four tiles each of 80 keys and values at head_dim 128, 213 KiB; of 96 at
//   64, 124 KiB. 80 is a multiple of 20 (81 frames of video); 160, of the other tile, of 32 (129).
// Bound: tensor cores, as dense.
// Measured and tried: docs/kernels/2026-11-21-hopper-attention.md.
#include "ops/cuda/attention_hopper/band_attention_hopper.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "ops/cuda/attention_hopper/attend.h"
#include "ops/cuda/attention_hopper/band_tiles.h"
#include "ops/cuda/attention_hopper/refusal.h"
#include "ops/cuda/attention_hopper/store_rows.h"
#include "ops/cuda/attention_hopper/tile_stream.h"
#include "ops/cuda/common/launch.h"
#include "ops/cuda/common/tensor_map.h"

namespace sparsevid::ops::cuda {
namespace {

template <class Tile>
struct BandShared : QueryShared<Tile> {
  WorkSlots<BandWork> work;
  int2 seen[Tile::kRows];  // the keys of the band from ... to ... that each query sees
};

/// One thread: keys and values of all work.
template <class Tile>
class BandLoader {
 public:
  __device__ BandLoader(const BandArguments& a, BandShared<Tile>& shared)
      : a_(a), shared_(shared) {}

  __device__ void load(const BandWork& work) {
#pragma unroll 1
    for (int i = 0; i < work.tiles(); ++i) {
      const BandTile tile = band_tile<Tile::kKeys>(work, i);
      const bool temporal = tile.section == BandTile::band && work.temporal;
      load_tile(shared_.k[turn_.stage], temporal ? a_.k_temporal : a_.k, work.head, tile, temporal,
                &shared_.k_full[turn_.stage], &shared_.k_empty[turn_.stage]);
      load_tile(shared_.v[turn_.stage], temporal ? a_.v_temporal : a_.v, work.head, tile, temporal,
                &shared_.v_full[turn_.stage], &shared_.v_empty[turn_.stage]);
      turn_.advance();
    }
  }

 private:
  __device__ void load_tile(unsigned char* to, const CUtensorMap& map, int head,
                            const BandTile& tile, bool temporal, Barrier* full,
                            Barrier* empty) const {
    barrier_wait(empty, turn_.parity ^ 1);
    if (temporal) {
      barrier_arrive_expect(full, tile.count * Tile::kHeadDim * 2);
      const int position = tile.first / (a_.video.frames - 1);
#pragma unroll
      for (int half = 0; half < Tile::kHalves; ++half)
        copy_box(to + half * Tile::kNextColumns, map, full, 64 * half, 0, position, head, keep_);
      return;
    }
    barrier_arrive_expect(full, Tile::kTileBytes);
    const int video_end = a_.video.begin + a_.video.count();
    const int section = tile.section == BandTile::sinks    ? 0
                        : tile.section == BandTile::behind ? video_end
                                                           : a_.video.begin + a_.video.positions;
    copy_box(to, map, full, 0, section + tile.first, 0, head, keep_);
  }

  const BandArguments& a_;
  BandShared<Tile>& shared_;
  std::uint64_t keep_ = l2_keep();
  PipelineTurn<Tile::kStages> turn_;
};

/// The first of the two rows that a computing thread holds.
__device__ int row_of_thread() {
  return (static_cast<int>(threadIdx.x) - kWarpgroupThreads) / 32 * 16 + threadIdx.x % 32 / 4;
}

/// The key tiles of one piece of work.
template <class Tile>
class BandKeys : public TileStream<BandShared<Tile>> {
 public:
  __device__ BandKeys(const BandArguments& a, BandShared<Tile>& shared, const BandWork& work)
      : TileStream<BandShared<Tile>>(shared), work_(work) {
    this->restart(work.tiles());
    // Where each thread finds its own again: its registers are all taken. Four lanes share a row:
    // none may still read the last work's when one of them writes, nor read before it has.
    __syncwarp();
    if (threadIdx.x % 4 == 0) {
      const int row = row_of_thread();
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        const int place = work.first + min(row + 8 * h, work.rows - 1);
        shared.seen[row + 8 * h] = {band_seen_begin(a, work.temporal, place),
                                    band_seen_end(a, work.temporal, place)};
      }
    }
    __syncwarp();
  }

  /// For a warpgroup without queries: lets all tiles pass.
  __device__ void pass(PipelineTurn<Tile::kStages>& turn) {
#pragma unroll 1
    while (!this->last()) {
      this->wait_k(turn.stage, turn.parity);
      this->release_k(turn.stage);
      this->wait_v(turn.stage, turn.parity);
      this->release_v(turn.stage);
      turn.advance();
    }
  }

  __device__ void apply_first(float (&s)[Tile::kKeys / 2]) { apply(s); }
  __device__ void apply(float (&s)[Tile::kKeys / 2]) {
    const BandTile tile = band_tile<Tile::kKeys>(work_, work_.tiles() - this->left_ - 1);
    const bool band = tile.section == BandTile::band;
    const bool all =
        !band || (tile.first >= work_.all_begin && tile.first + tile.count <= work_.all_end);
    if (all && tile.count == Tile::kKeys) return;
    const int column = 2 * (threadIdx.x % 4);
    const int row = row_of_thread();
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      // Columns of the tile that the row sees.
      const int2 seen = this->shared_.seen[row + 8 * h];
      const int begin = band ? max(seen.x - tile.first, 0) : 0;
      const int end = band ? min(seen.y - tile.first, tile.count) : tile.count;
#pragma unroll
      for (int i = 2 * h; i < Tile::kKeys / 2; i += 4)
#pragma unroll
        for (int e = 0; e < 2; ++e) {
          const int at = i / 4 * 8 + column + e;
          if (at < begin || at >= end) s[i + e] = -INFINITY;
        }
    }
  }

 private:
  const BandWork& work_;
};

template <class Tile>
__device__ void compute_band(const BandArguments& a, BandShared<Tile>& shared) {
  const int warpgroup = this_warpgroup() - 1;
  const int lane = threadIdx.x % 32;
  IssueTurnOfSome<Tile::kWarpgroups> issue(warpgroup);
  PipelineTurn<1> queries;
  PipelineTurn<Tile::kStages> turn;
  for_each_work(shared.work, [&](const BandWork& work) {
    const auto queries_done = [&] {
      if (lane == 0) barrier_arrive(&shared.q_empty);
    };
    barrier_wait(&shared.q_full, queries.parity);
    queries.advance();
    // Queries came by cp.async, which the tensor cores see only after this.
    fence_async_proxy();
    BandKeys<Tile> keys(a, shared, work);
    if (64 * warpgroup >= work.rows) {
      queries_done();
      keys.pass(turn);
      return;
    }
    issue.take_part((work.rows + 63) / 64);
    float o[Tile::kHeadDim / 2];
    OnlineSoftmax softmax(a.scale_log2);
    attend<Tile>(shared, warpgroup, keys, turn, issue, softmax, o, queries_done);
    __nv_bfloat16* rows[2];
    rows_of_tokens(rows, shared.tokens[queries.parity ^ 1], row_of_thread(), a.out, work.head);
    store_rows(
        o, [&](int h) { return softmax.normaliser(h); }, rows);
  });
}

template <class Tile>
__global__ void __launch_bounds__(Tile::kThreads, 1)
    band_attention(const __grid_constant__ BandArguments a) {
  extern __shared__ __align__(1024) unsigned char memory[];
  auto& shared = *reinterpret_cast<BandShared<Tile>*>(memory);
  if (threadIdx.x == 0) {
    constexpr int kWarps = 4 * Tile::kWarpgroups;
    barrier_init(&shared.q_full, kQueryArrivals);
    barrier_init(&shared.q_empty, kWarps);
    init_tile_barriers(shared, 1, 1, kWarps);
    shared.work.init(kQueryLoaders + kWarps);
    barrier_init_fence();
  }
  // A temporal tile may leave rows as they are: their weights are zero, but zero times what lies
  // there must be zero.
  for (int i = threadIdx.x; i < static_cast<int>(sizeof(shared.v) / 16); i += Tile::kThreads)
    reinterpret_cast<uint4*>(shared.v)[i] = uint4{};
  fence_async_proxy();
  __syncthreads();

  if (threadIdx.x < kWarpgroupThreads) {
    give_up_registers<Tile::kLoadRegisters>();
    const int warp = threadIdx.x / 32;
    const auto load_queries = [&](auto& loader) {
      return [&](const BandWork& work) {
        loader.load(work.head, work.rows, [&](int row) { return band_token(a, work, row); });
      };
    };
    if (warp == 0) {
      BandLoader<Tile> loader(a, shared);
      hand_out_work(
          shared.work,
          [&](BandWork& work) { work = band_work<Tile>(a, atomicAdd(a.next_work, 1)); },
          [&](const BandWork& work) {
            if (threadIdx.x == 0) loader.load(work);
            __syncwarp();
          });
    } else if (warp == 1) {
      QueryLoader<Tile, 0> loader(a.q, shared);
      for_each_work(shared.work, load_queries(loader));
    } else if (warp == 2) {
      QueryLoader<Tile, 1> loader(a.q, shared);
      for_each_work(shared.work, load_queries(loader));
    }
  } else {
    take_registers<Tile::kComputeRegisters>();
    compute_band(a, shared);
  }
}

/// The tokens behind the first frame as boxes of 64 columns x all those frames x `positions`.
CUtensorMap positions_map(const TensorView& rows, const BandAttentionParams& params,
                          int positions) {
  const std::int64_t row = rows.stride(1);
  const auto* first =
      static_cast<const bf16*>(rows.data()) + (params.video_begin + params.positions) * row;
  const TensorView view(const_cast<bf16*>(first), DType::bf16,
                        Shape{rows.size(0), params.positions, params.frames - 1, rows.size(2)},
                        Shape{rows.stride(0), row, params.positions * row, 1}, rows.device());
  return box_map(view, {64, params.frames - 1, positions, 1});
}

template <class Tile>
void run(const BandAttentionParams& params, Context& context) {
  const cudaStream_t stream = stream_of(context);
  const int video = params.frames * params.positions;
  BandArguments a{};
  a.k = head_rows_map(params.k, Tile::kKeys, Tile::kHalves);
  a.v = head_rows_map(params.v, Tile::kKeys, Tile::kHalves);
  if (params.frames > 1) {
    a.box_positions = std::min(Tile::kKeys / (params.frames - 1), params.positions);
    a.k_temporal = positions_map(params.k, params, a.box_positions);
    a.v_temporal = positions_map(params.v, params, a.box_positions);
  }
  a.q = {static_cast<const __nv_bfloat16*>(params.q.data()), params.q.stride(0),
         params.q.stride(1)};
  a.out = {static_cast<__nv_bfloat16*>(params.out.data()), params.out.stride(0),
           params.out.stride(1)};
  a.temporal = params.temporal.as<std::uint8_t>();
  a.temporal_stride = params.temporal.stride(0);
  a.video = {params.video_begin, params.frames, params.positions};
  a.seq_len = static_cast<int>(params.q.size(1));
  a.width = static_cast<int>(std::min<std::int64_t>(params.width, video));
  a.heads = static_cast<int>(params.q.size(0));
  a.outside_pieces = ceil_div(a.seq_len - video, Tile::kRows);
  a.video_pieces = ceil_div(video, Tile::kRows);
  a.scale_log2 = static_cast<float>(params.scale * std::numbers::log2e);
  const Arena::Scope scope(context.arena);
  a.next_work = context.arena.array<int>(1);
  check(cudaMemsetAsync(a.next_work, 0, sizeof(int), stream), "band_attention");

  constexpr int kSharedBytes = sizeof(BandShared<Tile>);
  static_assert(kSharedBytes <= 227 * 1024);
  allow_shared_memory(band_attention<Tile>, kSharedBytes, "band_attention");
  const int pieces = a.heads * (a.outside_pieces + a.video_pieces);
  band_attention<Tile>
      <<<std::min(pieces, device_facts().multiprocessors), Tile::kThreads, kSharedBytes, stream>>>(
          a);
  check_launch("band_attention");
}

using Tile64 = AttentionTile<64, 96, 3, AtomOrder::rows_first, 4, 56>;
using Tile128 = AttentionTile<128, 80, 3, AtomOrder::rows_first, 4, 56>;
/// Slower, for numbers of frames that leave too much of the other's position-major tiles empty.
using LongTile128 = AttentionTile<128, 160, 2, AtomOrder::rows_first, 2, 40>;

/// How much of a tile whole positions fill.
template <class Tile>
double filled(const BandAttentionParams& params) {
  const int frames = std::max(params.frames - 1, 1);
  return static_cast<double>(Tile::kKeys / frames * frames) / Tile::kKeys;
}

}  // namespace

std::string band_attention_hopper_refusal(const BandAttentionParams& params, const Context&) {
  if (params.frames - 1 > (params.q.size(2) == 128 ? LongTile128::kKeys : Tile64::kKeys))
    return "more frames than a tile has keys";
  return hopper_attention_refusal(params);
}

void band_attention_hopper(const BandAttentionParams& params, Context& context) {
  if (params.q.numel() == 0) return;
  if (params.q.size(2) == 64)
    run<Tile64>(params, context);
  else if (filled<Tile128>(params) >= .9 * filled<LongTile128>(params))
    run<Tile128>(params, context);
  else
    run<LongTile128>(params, context);
}

}  // namespace sparsevid::ops::cuda
