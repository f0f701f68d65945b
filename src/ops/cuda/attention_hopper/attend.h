// The main loop of a computing warpgroup: 64 query rows against a stream of key tiles.
//
// The products of the next tile's logits and of this tile's output are issued together, so the
// softmax of the next tile runs beside the latter; and the warpgroups take turns at issuing, so
// that one's softmax runs beside the other's products.
#pragma once

#include "ops/cuda/attention_hopper/online_softmax.h"
#include "ops/cuda/attention_hopper/tile.h"

namespace sparsevid::ops::cuda {

/// Whose turn it is to issue products: a token handed around the computing warpgroups, by named
/// barriers 1, 2, ... of the one that waits and the one that hands on.
template <int kWarpgroups>
class IssueTurn {
 public:
  __device__ explicit IssueTurn(int warpgroup) : warpgroup_(warpgroup) {
    if (warpgroup == kWarpgroups - 1) hand_on();
  }
  __device__ void wait() const { named_barrier_wait(1 + warpgroup_, kThreads); }
  __device__ void hand_on() const {
    named_barrier_arrive(warpgroup_ == kWarpgroups - 1 ? 1 : 2 + warpgroup_, kThreads);
  }

 protected:
  static constexpr int kThreads = 2 * kWarpgroupThreads;
  int warpgroup_;
};

/// The same among the first `active` warpgroups, a number that may change whenever each of them
/// has had as many turns as the others: the token is on its way to the first then, as at the start.
template <int kWarpgroups>
class IssueTurnOfSome : public IssueTurn<kWarpgroups> {
 public:
  __device__ explicit IssueTurnOfSome(int warpgroup) : IssueTurn<kWarpgroups>(warpgroup) {}
  /// Called by the active ones alone.
  __device__ void take_part(int active) { active_ = active; }
  __device__ void wait() const {
    if (active_ > 1) IssueTurn<kWarpgroups>::wait();
  }
  __device__ void hand_on() const {
    const int next = this->warpgroup_ + 1 == active_ ? 0 : this->warpgroup_ + 1;
    if (active_ > 1) named_barrier_arrive(1 + next, this->kThreads);
  }

 private:
  int active_ = kWarpgroups;
};

/// `Keys` is the stream of key tiles: `wait_k(stage, parity)` until logits can be computed,
/// `last()` whether the tile waited for last is the last one, `apply(s)` its mask or bias,
/// `release_k(stage)`, `wait_v(stage, parity)`, `release_v(stage)`. There is at least one tile.
/// Leaves o unnormalised; `turn` advances past the tiles. `shared` has q, k and v as
/// AttentionShared.
template <class Tile, class Shared, class Keys, class Issue, class QueriesDone>
__device__ void attend(const Shared& shared, int warpgroup, Keys& keys,
                       PipelineTurn<Tile::kStages>& turn, const Issue& issue,
                       OnlineSoftmax& softmax, float (&o)[Tile::kHeadDim / 2],
                       QueriesDone queries_done) {
  float s[Tile::kKeys / 2];
  std::uint32_t p[Tile::kKeys / 16][4];
  const unsigned char* q = shared.q[warpgroup];

  keys.wait_k(turn.stage, turn.parity);
  issue_logits<Tile>(s, q, shared.k[turn.stage]);
  wgmma_wait<0>();
  pin_registers(s);
  keys.release_k(turn.stage);
  keys.apply_first(s);
  softmax.start(s);
  pack_weights<Tile::kKeys>(p, s);

  bool started = false;
  while (!keys.last()) {
    const PipelineTurn<Tile::kStages> values = turn;
    turn.advance();
    keys.wait_k(turn.stage, turn.parity);
    issue.wait();
    issue_logits<Tile>(s, q, shared.k[turn.stage]);
    keys.wait_v(values.stage, values.parity);
    issue_output<Tile>(o, p, shared.v[values.stage], started);
    issue.hand_on();
    started = true;
    wgmma_wait<1>();
    pin_registers(s);
    keys.release_k(turn.stage);
    keys.apply(s);
    softmax.proceed(s);
    pin_registers(s);
    wgmma_wait<0>();
    pin_registers(o);
    keys.release_v(values.stage);
    pack_weights<Tile::kKeys>(p, s);
    if (softmax.rescales()) {
#pragma unroll
      for (int i = 0; i < Tile::kHeadDim / 2; ++i) o[i] *= softmax.factor(i / 2 % 2);
    }
  }
  queries_done();
  keys.wait_v(turn.stage, turn.parity);
  issue_output<Tile>(o, p, shared.v[turn.stage], started);
  wgmma_wait<0>();
  pin_registers(o);
  keys.release_v(turn.stage);
  turn.advance();
}

}  // namespace sparsevid::ops::cuda
