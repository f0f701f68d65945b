// All keys of a head in one tile: reading queries and writing outputs is the larger part.
//
// The problem: 75,600 queries a head, 64 to 176 keys: 1.55 GB read and written, .1 to .3 TFLOP.
// Plan: a block takes items, some hundred queries of one head, in an order in which all heads of
//   the same rows are in work at the same time: together they are whole lines and pages of memory.
//   One thread of warpgroup 0 loads, keys and values once for an item and tiles of queries as far
//   ahead as there is room. Each other warpgroup takes tiles of 64 queries. The logits of its next
//   tile and the output of this one are issued together, so that the softmax of the next runs
//   beside the latter. Outputs leave through the copy engine.
// Shared memory: 1 or 2 tiles of keys and of values, 4 to 6 of queries, one of outputs for each
//   warpgroup: 208 to 224 KiB.
// Bound: memory at 64 keys: .417 ms at 40 x 75,600 x 128 on an H200, 88 % of a copy's rate. Copying
//   queries to outputs head by head in the same pieces of 256 bytes takes .425. 128 keys: .440 ms,
//   176: .571: softmax and products of two warpgroups.
// Tried: items head by head, registers stored directly: .430. Outputs through the place of their
//   queries: it would come back too late for the next ones. Three warpgroups at 128 keys: spills.
#pragma once

#include "ops/cuda/attention_hopper/online_softmax.h"
#include "ops/cuda/attention_hopper/tile.h"
#include "ops/cuda/attention_hopper/tile_stream.h"
#include "ops/cuda/common/ldmatrix.h"
#include "ops/cuda/common/pack_bf16.h"
#include "ops/cuda/common/tma.h"
#include "ops/cuda/few_keys_hopper/problem.h"

namespace sparsevid::ops::cuda::few_keys {

template <int kKeys_, int kWarpgroups_, int kStages_, int kSlots_>
struct OneTile {
  static constexpr int kHeadDim = few_keys::kHeadDim;
  static constexpr int kKeys = kKeys_;
  static constexpr int kWarpgroups = kWarpgroups_;  // that compute
  static constexpr int kStages = kStages_;          // of keys and values: items
  static constexpr int kSlots = kSlots_;            // of queries
  static constexpr int kThreads = kWarpgroupThreads * (1 + kWarpgroups);
  static constexpr int kTileBytes = kKeys * kHeadDim * 2;
  static constexpr int kQueryBytes = kRows * kHeadDim * 2;
  static constexpr int kNextRows = 1024;
  static constexpr int kNextColumns = 128 * kKeys;
  static constexpr int kLoadRegisters = kWarpgroups == 2 ? 40 : 32;
  static constexpr int kComputeRegisters = kWarpgroups == 2 ? 232 : 160;
  static_assert(kSlots % kWarpgroups == 0, "a round of tiles lies side by side");
};

/// Begins at a multiple of 1024 bytes, as the swizzle asks for.
template <class Tile>
struct OneTileShared {
  unsigned char q[Tile::kSlots][Tile::kQueryBytes];
  unsigned char k[Tile::kStages][Tile::kTileBytes];
  unsigned char v[Tile::kStages][Tile::kTileBytes];
  unsigned char out[Tile::kWarpgroups][Tile::kQueryBytes];
  KeyBiases<1, Tile::kKeys> biases;
  Barrier q_full[Tile::kSlots];
  Barrier q_empty[Tile::kSlots];
  Barrier k_full[Tile::kStages];
  Barrier k_empty[Tile::kStages];
  Barrier v_full[Tile::kStages];
  Barrier v_empty[Tile::kStages];
};

struct Items {
  int tiles_per_head;
  int tiles_of_item;  // a multiple of the warpgroups; the last item of a head may have fewer
  int count;
};

/// The rounds of a block: a tile of queries for each warpgroup. Tiles past the last read zeros and
/// write nothing.
template <class Tile>
class Walk {
 public:
  __device__ Walk(const Items& items, int heads) : items_(items), heads_(heads) {}

  __device__ bool ended() const { return item_ >= items_.count; }
  __device__ int head() const { return item_ % heads_; }
  __device__ int row(int warpgroup) const { return (first_tile() + warpgroup) * kRows; }
  __device__ bool first_of_item() const { return tile_ == 0; }
  __device__ bool last_of_item() const {
    return tile_ + Tile::kWarpgroups >= items_.tiles_of_item ||
           first_tile() + Tile::kWarpgroups >= items_.tiles_per_head;
  }
  __device__ void next() {
    if (last_of_item()) {
      item_ += static_cast<int>(gridDim.x);
      tile_ = 0;
    } else {
      tile_ += Tile::kWarpgroups;
    }
  }

 private:
  __device__ int first_tile() const { return item_ / heads_ * items_.tiles_of_item + tile_; }

  const Items& items_;
  int heads_;
  int item_ = static_cast<int>(blockIdx.x);
  int tile_ = 0;
};

template <class Tile>
__device__ void load_items(const Problem& p, const Items& items, OneTileShared<Tile>& shared) {
  const std::uint64_t keep = l2_keep();
  const std::uint64_t give_up = l2_give_up();
  PipelineTurn<Tile::kSlots> slot;
  PipelineTurn<Tile::kStages> turn;
  for (Walk<Tile> walk(items, p.heads); !walk.ended(); walk.next()) {
    const bool first = walk.first_of_item();
    if (first) {
      barrier_wait(&shared.k_empty[turn.stage], turn.parity ^ 1);
      barrier_arrive_expect(&shared.k_full[turn.stage], Tile::kTileBytes);
      copy_box(shared.k[turn.stage], p.k, &shared.k_full[turn.stage], 0, 0, 0, walk.head(), keep);
    }
    // Before the values, whose place is free only after logits of these queries are issued.
    for (int w = 0; w < Tile::kWarpgroups; ++w) {
      barrier_wait(&shared.q_empty[slot.stage], slot.parity ^ 1);
      barrier_arrive_expect(&shared.q_full[slot.stage], Tile::kQueryBytes);
      copy_box(shared.q[slot.stage], p.q, &shared.q_full[slot.stage], 0, walk.row(w), 0,
               walk.head(), give_up);
      slot.advance();
    }
    if (first) {
      barrier_wait(&shared.v_empty[turn.stage], turn.parity ^ 1);
      barrier_arrive_expect(&shared.v_full[turn.stage], Tile::kTileBytes);
      copy_box(shared.v[turn.stage], p.v, &shared.v_full[turn.stage], 0, 0, 0, walk.head(), keep);
      turn.advance();
    }
  }
}

/// 16 rows of a warp, all columns, into a tile as the copy engine takes it.
__device__ inline void write_output(unsigned char* tile, const float (&o)[kHeadDim / 2],
                                    const float (&factor)[2]) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int row = static_cast<int>(threadIdx.x) % kWarpgroupThreads / 32 * 16 + lane % 16;
  const std::uint32_t to = shared_address(tile) + row * 128;
#pragma unroll
  for (int j = 0; j < kHeadDim / 8; j += 2) {
    std::uint32_t x[4];
#pragma unroll
    for (int i = 0; i < 4; ++i)
      x[i] = pack_bf16(o[4 * j + 2 * i] * factor[i % 2], o[4 * j + 2 * i + 1] * factor[i % 2]);
    // Lanes 0 to 15 give the places of columns 8 j and on, the others of the next eight.
    const int column = j + lane / 16;
    const std::uint32_t place = to + column / 8 * (kRows * 128) + (column % 8 ^ lane % 8) * 16;
    stmatrix_x4(x, place);
  }
}

template <class Tile>
__device__ void compute_items(const Problem& p, const Items& items, OneTileShared<Tile>& shared) {
  constexpr int kOutputBarrier = 8;  // and on
  const int warpgroup = static_cast<int>(threadIdx.x) / kWarpgroupThreads - 1;
  const bool leader = threadIdx.x % kWarpgroupThreads == 0;
  Walk<Tile> walk(items, p.heads);
  if (walk.ended()) return;
  PipelineTurn<Tile::kStages> turn;
  int slot = warpgroup;
  std::uint32_t slot_parity = 0;
  float s[Tile::kKeys / 2];
  float o[Tile::kHeadDim / 2];
  std::uint32_t weights[Tile::kKeys / 16][4];
  OnlineSoftmax softmax(p.scale_log2);

  const auto release = [](Barrier* barrier) {
    if (threadIdx.x % 32 == 0) barrier_arrive(barrier);
  };
  const auto wait_for_operands = [&] {
    barrier_wait(&shared.q_full[slot], slot_parity);
    barrier_wait(&shared.k_full[turn.stage], turn.parity);
  };
  const auto logits_done = [&] {
    pin_registers(s);
    release(&shared.q_empty[slot]);
    if (walk.last_of_item()) release(&shared.k_empty[turn.stage]);
    shared.biases.add(0, s);
  };
  const auto store = [&](const OnlineSoftmax& finished, int head, int row) {
    const float counts = shared.biases.some_key_counts != 0 ? 1 : 0;
    const float factor[2] = {finished.normaliser(0) * counts, finished.normaliser(1) * counts};
    // The tile before has left.
    if (leader) wait_until_stores_read();
    named_barrier_wait(kOutputBarrier + warpgroup, kWarpgroupThreads);
    write_output(shared.out[warpgroup], o, factor);
    fence_async_proxy();
    named_barrier_wait(kOutputBarrier + warpgroup, kWarpgroupThreads);
    if (leader) store_box(p.out, shared.out[warpgroup], 0, row, 0, head);
  };

  wait_for_operands();
  issue_logits<Tile>(s, shared.q[slot], shared.k[turn.stage]);
  wgmma_wait<0>();
  logits_done();
  softmax.start(s);
  pack_weights<Tile::kKeys>(weights, s);
  while (true) {
    const PipelineTurn<Tile::kStages> values = turn;
    const bool values_done = walk.last_of_item();
    const int head = walk.head();
    const int row = walk.row(warpgroup);
    walk.next();
    barrier_wait(&shared.v_full[values.stage], values.parity);
    if (walk.ended()) {
      issue_output<Tile>(o, weights, shared.v[values.stage], false);
      wgmma_wait<0>();
      pin_registers(o);
      store(softmax, head, row);
      break;
    }
    slot += Tile::kWarpgroups;
    if (slot >= Tile::kSlots) {
      slot -= Tile::kSlots;
      slot_parity ^= 1;
    }
    if (walk.first_of_item()) turn.advance();
    wait_for_operands();
    issue_logits<Tile>(s, shared.q[slot], shared.k[turn.stage]);
    issue_output<Tile>(o, weights, shared.v[values.stage], false);
    wgmma_wait<1>();
    logits_done();
    const OnlineSoftmax finished = softmax;
    softmax.start(s);
    pin_registers(s);
    wgmma_wait<0>();
    pin_registers(o);
    if (values_done) release(&shared.v_empty[values.stage]);
    pack_weights<Tile::kKeys>(weights, s);
    store(finished, head, row);
  }
  if (leader) wait_for_stores();
}

template <class Tile>
__global__ void __launch_bounds__(Tile::kThreads, 1)
    one_tile_kernel(const __grid_constant__ Problem p, const Items items) {
  extern __shared__ __align__(1024) unsigned char memory[];
  auto& shared = *reinterpret_cast<OneTileShared<Tile>*>(memory);
  if (threadIdx.x == 0) {
    for (int i = 0; i < Tile::kSlots; ++i) {
      barrier_init(&shared.q_full[i], 1);
      barrier_init(&shared.q_empty[i], 4);  // the warps of the one warpgroup that takes it
    }
    init_tile_barriers(shared, 1, 1, 4 * Tile::kWarpgroups);
    barrier_init_fence();
  }
  shared.biases.prepare(p, 1);
  __syncthreads();
  if (threadIdx.x < kWarpgroupThreads) {
    give_up_registers<Tile::kLoadRegisters>();
    if (threadIdx.x == 0) load_items<Tile>(p, items, shared);
    __syncwarp();
  } else {
    take_registers<Tile::kComputeRegisters>();
    compute_items<Tile>(p, items, shared);
  }
}

}  // namespace sparsevid::ops::cuda::few_keys
