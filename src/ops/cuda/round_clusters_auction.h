// The rounds of round_clusters.cu's auction, in one kernel.
//
// The problem: in each of 32 rounds the clusters with too many tokens, half of them at first and a
//   few in the end, find the tokens that lose least elsewhere and send them there.
// Plan: a few blocks of 8 warps a head stay for all rounds and meet at a barrier of the head in
//   global memory, so the launch is a cooperative one; a warp takes a cluster at a time, a block
//   one of those with more than 384. The tokens that a cluster had at first lie behind each other
//   in the order. Those that ever left their first cluster, 5 % in the end, stand in a list of the
//   head; those of them that are in clusters with too many are dealt out to these before the warps
//   begin. A warp finds, bit by bit, the loss of the last token that has to leave and the place of
//   the last one among equals, so that the outcome depends neither on the order of atomics nor on
//   that of the list. Sizes and prices of the beginning of a round are kept in shared memory while
//   the round changes them; a token that has moved bears the round's number, so that nobody takes
//   it for one that was there before.
// Shared memory: 6 words a cluster.
// Bound: latency, some ten of L2 in a round and two barriers; 9 us a round expected, 23 measured,
//   of which the reading of clusters, dealing out and the barriers are 5.
// Tried: two blocks a multiprocessor and four own tokens at once, .735 ms instead of .722, and 3.7
//   instead of 3.2 for all of the op where clusters have 1 to 1,806 tokens; four blocks and one
//   token, for which 16 bytes of registers were spilled, .768 and 2.9.
#pragma once

#include <climits>
#include <cstdint>

#include "ops/cuda/common/elements.h"
#include "ops/cuda/round_clusters_problem.h"

namespace sparsevid::ops::cuda {

constexpr unsigned kAll = 0xffffffffU;
constexpr int kAuctionThreads = 256;
constexpr int kAuctionWarps = kAuctionThreads / 32;

/// Smaller floats are smaller integers; what is no number is the largest of all that occur, which
/// is less than UINT_MAX.
__device__ inline unsigned ordered(float value) {
  if (value != value) value = INFINITY;
  const unsigned bits = __float_as_uint(value + 0.0F);
  return (bits & 0x80000000U) != 0 ? ~bits : bits | 0x80000000U;
}
__device__ inline float from_ordered(unsigned bits) {
  return __uint_as_float((bits & 0x80000000U) != 0 ? bits & 0x7fffffffU : ~bits);
}

/// Candidates of a cluster whose losses stand in shared memory, for each thread.
constexpr int kKept = 12;

/// Losses of candidates as ordered integers, and where each goes if it has to.
struct AuctionRoom {
  unsigned losses[kAuctionThreads * kKept];
  Way ways[kAuctionThreads * kKept];
};

/// Those that take a cluster together: a warp.
struct WarpTeam {
  static constexpr int kThreads = 32;
  AuctionRoom& room;

  __device__ int first_of_room() const {
    return static_cast<int>(threadIdx.x) / kThreads * (kThreads * kKept);
  }
  __device__ void sync() const { __syncwarp(); }
  __device__ int rank() const { return static_cast<int>(threadIdx.x) % 32; }
  __device__ int sum(int value) const { return __reduce_add_sync(kAll, value); }
  __device__ unsigned least(unsigned value) const { return __reduce_min_sync(kAll, value); }
  __device__ unsigned most(unsigned value) const { return __reduce_max_sync(kAll, value); }
};

/// A block, for clusters with many tokens.
struct BlockTeam {
  static constexpr int kThreads = kAuctionThreads;
  AuctionRoom& room;
  unsigned (&of_warps)[2][kAuctionWarps];  // in turn: who writes one has met those who read it
  mutable int turn = 0;

  __device__ int first_of_room() const { return 0; }
  __device__ void sync() const { __syncthreads(); }
  __device__ int rank() const { return static_cast<int>(threadIdx.x); }
  template <typename Join>
  __device__ unsigned join(unsigned of_warp, const Join& join_two) const {
    turn ^= 1;
    if (threadIdx.x % 32 == 0) of_warps[turn][threadIdx.x / 32] = of_warp;
    __syncthreads();
    unsigned all = of_warps[turn][0];
    for (int w = 1; w < kAuctionWarps; ++w) all = join_two(all, of_warps[turn][w]);
    return all;
  }
  __device__ int sum(int value) const {
    return static_cast<int>(join(static_cast<unsigned>(__reduce_add_sync(kAll, value)),
                                 [](unsigned a, unsigned b) { return a + b; }));
  }
  __device__ unsigned least(unsigned value) const {
    return join(__reduce_min_sync(kAll, value), [](unsigned a, unsigned b) { return min(a, b); });
  }
  __device__ unsigned most(unsigned value) const {
    return join(__reduce_max_sync(kAll, value), [](unsigned a, unsigned b) { return max(a, b); });
  }
};

struct Smallest {
  unsigned value;
  bool last;  // the next one is larger
};

/// The `wanted`-th smallest (from 1) of `count` values, which may be asked for in any order. Values
/// of UINT_MAX are none. The first kKeep of a thread stay in registers, the others are asked for
/// again for every bit; there are as many of these as it takes to tell the value from the next.
template <int kKeep, typename Team, typename Value>
__device__ Smallest smallest(const Team& team, int count, int wanted, const Value& value) {
  const int behind = kKeep * Team::kThreads + team.rank();
  unsigned kept[kKeep];
#pragma unroll
  for (int k = 0; k < kKeep; ++k) {
    const int i = k * Team::kThreads + team.rank();
    kept[k] = i < count ? value(i) : UINT_MAX;
  }
  const auto for_values = [&](const auto& body) {
#pragma unroll
    for (int k = 0; k < kKeep; ++k) body(kept[k]);
#pragma unroll 1
    for (int i = behind; i < count; i += Team::kThreads) body(value(i));
  };
  unsigned least = UINT_MAX;
  unsigned most = 0;
  for_values([&](unsigned own) {
    least = min(least, own);
    if (own != UINT_MAX) most = max(most, own);
  });
  least = team.least(least);
  most = team.most(most);
  if (least == most) return {least, false};
  // Bits above the first in which they differ are those of all.
  unsigned bit = 0x80000000U >> __clz(static_cast<int>(least ^ most));
  unsigned found = least & ~(2 * bit - 1);
#pragma unroll 1
  for (; bit != 0; bit >>= 1) {
    const unsigned candidate = found | bit;
    int below = 0;
    for_values([&](unsigned own) { below += own < candidate ? 1 : 0; });
    below = team.sum(below);
    if (below < wanted) found = candidate;
    if (below != wanted) continue;
    unsigned largest = 0;
    for_values([&](unsigned own) { largest = own < candidate ? max(largest, own) : largest; });
    return {team.most(largest), true};
  }
  return {found, false};
}

/// What a block knows of its head at the beginning of a round; in shared memory.
struct AuctionRound {
  int* leaving;   // of clusters with too many, 0 of the others
  int* begins;    // of their guests among those that are dealt out
  int* guests;    // how many these are
  int* too_many;  // the clusters; those with many tokens stand at the end
  float* prices;
  int* offsets;  // of the head, in every round; one more

  static constexpr int kWords = 6;  // a cluster
  __device__ AuctionRound(int* memory, int clusters)
      : leaving(memory),
        begins(memory + clusters),
        guests(memory + 2 * clusters),
        too_many(memory + 3 * clusters),
        prices(reinterpret_cast<float*>(memory + 4 * clusters)),
        offsets(memory + 5 * clusters) {}
};

/// Where tokens of a first cluster may go, besides back.
struct Neighbours {
  int clusters[kNear];  // -1: none
  float prices[kNear];

  __device__ Neighbours(const RoundProblem& p, const AuctionRound& round, int head, int first) {
    const int* of_first =
        p.neighbours + (static_cast<std::int64_t>(head) * p.clusters + first) * kNear;
#pragma unroll
    for (int n = 0; n < kNear; n += 4) {
      const Pack<int, 4> four = load_pack<int, 4>(of_first + n);
#pragma unroll
      for (int i = 0; i < 4; ++i) clusters[n + i] = four.value[i];
    }
#pragma unroll
    for (int n = 0; n < kNear; ++n) prices[n] = clusters[n] < 0 ? 0 : round.prices[clusters[n]];
  }
};

/// Where it is cheapest for a token in cluster `own` to go, and what that loses.
__device__ inline int cheapest_way_out(const Neighbours& near, const float (&costs)[kNear], int own,
                                       int first, float price_of_first, unsigned& loss) {
  // Whatever the costs are, even NaN, it is somewhere else.
  int best = own != first ? first : near.clusters[0];
  float least = own != first ? price_of_first : costs[0] + near.prices[0];
  float own_cost = 0;
#pragma unroll
  for (int n = 0; n < kNear; ++n) {
    const int c = near.clusters[n];
    if (c == own) own_cost = costs[n];
    const float cost = costs[n] + near.prices[n];
    if (c < 0 || c == own || !(cost < least)) continue;
    best = c;
    least = cost;
  }
  loss = ordered(least - own_cost);
  return best;
}

/// What is counted of clusters with too many.
struct Surplus {
  int few, many;  // clusters that a warp takes, that a block takes
  int guests;

  __device__ Surplus operator+(const Surplus& o) const {
    return {few + o.few, many + o.many, guests + o.guests};
  }
};

/// The sum over the threads before this one, and over all of them.
__device__ inline Surplus sum_before(const Surplus& own, Surplus* of_warps, Surplus& total) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  Surplus sum = own;
  for (int distance = 1; distance < 32; distance *= 2) {
    const Surplus before = {__shfl_up_sync(kAll, sum.few, distance),
                            __shfl_up_sync(kAll, sum.many, distance),
                            __shfl_up_sync(kAll, sum.guests, distance)};
    if (lane >= distance) sum = sum + before;
  }
  if (lane == 31) of_warps[warp] = sum;
  __syncthreads();
  Surplus before = {sum.few - own.few, sum.many - own.many, sum.guests - own.guests};
  total = {0, 0, 0};
  for (int w = 0; w < kAuctionWarps; ++w) {
    if (w < warp) before = before + of_warps[w];
    total = total + of_warps[w];
  }
  __syncthreads();
  return before;
}

/// Reads the head's clusters.
__device__ inline Surplus begin_round(const RoundProblem& p, const AuctionRound& round, int head,
                                      Surplus* of_warps) {
  const std::int64_t clusters_before = static_cast<std::int64_t>(head) * p.clusters;
  Surplus sum = {0, 0, 0};
  for (int begin = 0; begin < p.clusters; begin += kAuctionThreads) {
    const int c = begin + static_cast<int>(threadIdx.x);
    int leaving = 0;
    int guests = 0;
    bool many = false;
    if (c < p.clusters) {
      leaving = max(p.sizes[clusters_before + c] - p.wanted[clusters_before + c], 0);
      guests = p.guests[clusters_before + c];
      round.prices[c] = p.prices[clusters_before + c];
      if (leaving == 0) guests = 0;
      many = leaving > 0 &&
             round.offsets[c + 1] - round.offsets[c] + guests > kKept * WarpTeam::kThreads;
      round.leaving[c] = leaving;
      round.guests[c] = guests;
    }
    Surplus total;
    const Surplus own = {leaving > 0 && !many ? 1 : 0, many ? 1 : 0, guests};
    const Surplus before = sum + sum_before(own, of_warps, total);
    if (c < p.clusters) round.begins[c] = before.guests;
    if (leaving > 0) round.too_many[many ? p.clusters - 1 - before.many : before.few] = c;
    sum = sum + total;
  }
  __syncthreads();
  return sum;
}

/// Gives the clusters with too many their guests; the blocks of the head share the work.
__device__ inline void deal_out(const RoundProblem& p, const AuctionRound& round, int head) {
  const std::int64_t tokens_before = static_cast<std::int64_t>(head) * p.count;
  const int wanderers = p.wanderers[head];
  const int threads = static_cast<int>(gridDim.x) * kAuctionThreads;
  const Wanderer* wandered = p.wandered + tokens_before;
  constexpr int kAtOnce = 4;  // or each would wait for its own
  for (int first = static_cast<int>(blockIdx.x * kAuctionThreads + threadIdx.x); first < wanderers;
       first += kAtOnce * threads) {
    int clusters[kAtOnce];  // -1: no guest of a cluster with too many
    int slots[kAtOnce];
#pragma unroll
    for (int k = 0; k < kAtOnce; ++k) {
      const Pack<int, 4> own =
          load_pack<int, 4>(&wandered[min(first + k * threads, wanderers - 1)].place);
      const int c = TokenPlace{own.value[2]}.cluster();
      const bool counts =
          first + k * threads < wanderers && c != own.value[1] && round.leaving[c] > 0;
      clusters[k] = counts ? c : -1;
    }
#pragma unroll
    for (int k = 0; k < kAtOnce; ++k)
      if (clusters[k] >= 0)
        slots[k] =
            atomicAdd(&p.gathered[static_cast<std::int64_t>(head) * p.clusters + clusters[k]], 1);
#pragma unroll
    for (int k = 0; k < kAtOnce; ++k)
      if (clusters[k] >= 0)
        p.dealt[tokens_before + round.begins[clusters[k]] + slots[k]] = first + k * threads;
  }
}

/// The tokens that may be in a cluster: those of its run in the order, and behind them its guests.
struct Candidates {
  int begin;         // of the run
  int own;           // in the run
  int count;         // with the guests
  const int* dealt;  // numbers of the guests
  int dealt_before;  // those of other clusters
  const Wanderer* wandered;

  __device__ Candidates(const RoundProblem& p, const AuctionRound& round, int head, int c)
      : begin(round.offsets[c]),
        own(round.offsets[c + 1] - begin),
        count(own + round.guests[c]),
        dealt(p.dealt + static_cast<std::int64_t>(head) * p.count + round.begins[c]),
        dealt_before(round.begins[c]),
        wandered(p.wandered + static_cast<std::int64_t>(head) * p.count) {}
  __device__ int number(int guest) const { return dealt[guest - own]; }
  __device__ int place(int i) const { return i < own ? begin + i : wandered[number(i)].place; }
  /// A place in scratch of twice the head's tokens that no other cluster uses.
  __device__ int slot(const RoundProblem& p, int i) const {
    return i < own ? begin + i : p.count + dealt_before + i - own;
  }
};

/// A cluster with too many, in a round.
template <typename Team>
struct Departure {
  const RoundProblem& p;
  const AuctionRound& round;
  const Team& team;
  const Candidates& candidates;
  int head, number, cluster;

  __device__ std::int64_t tokens_before() const {
    return static_cast<std::int64_t>(head) * p.count;
  }
  __device__ bool in_room(int i) const { return i < kKept * Team::kThreads; }
  __device__ unsigned& loss(int i) const {
    return in_room(i) ? team.room.losses[team.first_of_room() + i]
                      : p.losses[2 * tokens_before() + candidates.slot(p, i)];
  }
  __device__ Way& way(int i) const {
    return in_room(i) ? team.room.ways[team.first_of_room() + i]
                      : p.ways[2 * tokens_before() + candidates.slot(p, i)];
  }

  /// What is read of the first tokens is asked for at once, or one would wait for the other.
  __device__ void price() const {
    const int guest = candidates.own + team.rank();
    int ahead = -1;
    if (guest < candidates.count) ahead = candidates.number(guest);
    OwnTokens own;
    own.read(*this, team.rank());
    Pack<int, 4> record{};
    if (ahead >= 0) record = load_pack<int, 4>(&candidates.wandered[ahead].place);
    price_own(own);
    price_guests(record);
  }

 private:
  /// Some of the tokens that the cluster had at first; where there are fewer, the last one again.
  struct OwnTokens {
    static constexpr int kAtOnce = 2;
    TokenPlace now[kAtOnce];
    float costs[kAtOnce][kNear];

    __device__ void read(const Departure& d, int first) {
#pragma unroll
      for (int k = 0; k < kAtOnce; ++k) {
        const int i = min(first + k * Team::kThreads, d.candidates.own - 1);
        const std::int64_t at = d.tokens_before() + d.candidates.begin + i;
        now[k] = d.p.now[at];
        load_floats(d.p.costs + at * kNear, costs[k]);
      }
    }
  };

  /// Those that are elsewhere, or have come back in this round, lose UINT_MAX.
  __device__ void price_own(OwnTokens& tokens) const {
    const Neighbours near(p, round, head, cluster);
    constexpr int kStep = OwnTokens::kAtOnce * Team::kThreads;
#pragma unroll 1
    for (int first = team.rank(); first < candidates.own; first += kStep) {
#pragma unroll
      for (int k = 0; k < OwnTokens::kAtOnce; ++k) {
        const int i = first + k * Team::kThreads;
        if (i >= candidates.own) continue;
        unsigned lost;
        const int to = cheapest_way_out(near, tokens.costs[k], cluster, cluster, 0, lost);
        const bool here = tokens.now[k].cluster() == cluster && tokens.now[k].round() != number;
        loss(i) = here ? lost : UINT_MAX;
        way(i) = Way::to(to, false, tokens.now[k].listed());
      }
      if (first + kStep < candidates.own) tokens.read(*this, first + kStep);
    }
  }
  /// `record`: of the first one, its place and its first cluster in front.
  __device__ void price_guests(Pack<int, 4> record) const {
#pragma unroll 1
    for (int i = candidates.own + team.rank(); i < candidates.count; i += Team::kThreads) {
      const int first = record.value[1];
      float costs[kNear];
      load_floats(p.costs + (tokens_before() + record.value[0]) * kNear, costs);
      const Neighbours near(p, round, head, first);
      if (i + Team::kThreads < candidates.count)
        record =
            load_pack<int, 4>(&candidates.wandered[candidates.number(i + Team::kThreads)].place);
      unsigned lost;
      const int to = cheapest_way_out(near, costs, cluster, first, round.prices[first], lost);
      loss(i) = lost;
      way(i) = Way::to(to, to == first, true);
    }
  }
};

/// Sends away the tokens that cluster `c` has too many.
template <typename Team>
__device__ void send_away(const RoundProblem& p, const AuctionRound& round, int head, int number,
                          int c, const Team& team) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const std::int64_t clusters_before = static_cast<std::int64_t>(head) * p.clusters;
  const std::int64_t tokens_before = static_cast<std::int64_t>(head) * p.count;
  const Candidates candidates(p, round, head, c);
  const Departure<Team> departure{p, round, team, candidates, head, number, c};
  const int leaving = round.leaving[c];
  departure.price();
  team.sync();
  const Smallest cut =
      smallest<kKept>(team, candidates.count, leaving, [&](int i) { return departure.loss(i); });
  const unsigned loss = cut.value;
  int last = INT_MAX;
  if (!cut.last) {
    int below = 0;
    int equal = 0;
#pragma unroll 1
    for (int i = team.rank(); i < candidates.count; i += Team::kThreads) {
      below += departure.loss(i) < loss ? 1 : 0;
      equal += departure.loss(i) == loss ? 1 : 0;
    }
    below = team.sum(below);
    equal = team.sum(equal);
    if (equal > leaving - below)
      last = static_cast<int>(smallest<1>(team, candidates.count, leaving - below, [&](int i) {
                                return departure.loss(i) == loss
                                           ? static_cast<unsigned>(candidates.place(i))
                                           : UINT_MAX;
                              }).value);
  }
  const auto for_leaving = [&](const auto& body) {
#pragma unroll 1
    for (int i = team.rank(); i < candidates.count; i += Team::kThreads) {
      const unsigned own = departure.loss(i);
      if (own < loss || (own == loss && candidates.place(i) <= last)) body(i, departure.way(i));
    }
  };
  int guests_left = 0;
  int new_wanderers = 0;
  for_leaving([&](int i, const Way& way) {
    guests_left += i >= candidates.own ? 1 : 0;
    new_wanderers += way.listed() ? 0 : 1;
  });
  __syncwarp();
  int listed = new_wanderers;
  for (int distance = 1; distance < 32; distance *= 2) {
    const int before = __shfl_up_sync(kAll, listed, distance);
    if (lane >= distance) listed += before;
  }
  int first_listed = 0;
  if (lane == 31 && listed > 0) first_listed = atomicAdd(&p.wanderers[head], listed);
  listed += __shfl_sync(kAll, first_listed, 31) - new_wanderers;
  for_leaving([&](int i, const Way& way) {
    const int place = candidates.place(i);
    const std::int64_t at = tokens_before + place;
    const TokenPlace now = {TokenPlace::at_first(way.cluster()).bits | TokenPlace::kListed |
                            number};
    if (way.listed()) {
      const int wanderer = i >= candidates.own ? candidates.number(i) : p.numbers[at];
      p.wandered[tokens_before + wanderer].now = now;
    } else {
      p.numbers[at] = listed;
      p.wandered[tokens_before + listed++] = {place, c, now, 0};
    }
    p.now[at] = now;
    atomicAdd(&p.sizes[clusters_before + way.cluster()], 1);
    if (!way.home()) atomicAdd(&p.guests[clusters_before + way.cluster()], 1);
  });
  __syncwarp();
  guests_left = team.sum(guests_left);
  team.sync();  // the room is free again
  if (team.rank() != 0) return;
  atomicSub(&p.sizes[clusters_before + c], leaving);
  atomicSub(&p.guests[clusters_before + c], guests_left);
  p.gathered[clusters_before + c] = 0;
  p.prices[clusters_before + c] = fmaxf(round.prices[c], from_ordered(loss)) + p.step[head];
}

/// Until all blocks of the head have come here for the `turn`-th time; what they wrote before is
/// seen by all after.
__device__ inline void meet(const RoundProblem& p, int head, unsigned turn) {
  __syncthreads();
  if (threadIdx.x == 0) {
    asm volatile("red.release.gpu.global.add.u32 [%0], 1;" ::"l"(&p.arrived[head]) : "memory");
    unsigned arrived = 0;
    while (arrived < turn * gridDim.x)
      asm volatile("ld.acquire.gpu.global.u32 %0, [%1];"
                   : "=r"(arrived)
                   : "l"(&p.arrived[head])
                   : "memory");
  }
  __syncthreads();
}

/// Of the tokens that ever left their first cluster.
__device__ inline void write_labels(const RoundProblem& p, int head) {
  const std::int64_t tokens_before = static_cast<std::int64_t>(head) * p.count;
  const int wanderers = p.wanderers[head];
  for (int i = static_cast<int>(blockIdx.x * kAuctionThreads + threadIdx.x); i < wanderers;
       i += static_cast<int>(gridDim.x) * kAuctionThreads) {
    const Wanderer& own = p.wandered[tokens_before + i];
    p.labels[head * p.labels_stride + p.order[head * p.order_stride + own.place]] =
        own.now.cluster();
  }
}

/// [blocks of a head, heads at a time]; all of them run at once.
__global__ void __launch_bounds__(kAuctionThreads, 3)
    auction_kernel(const __grid_constant__ RoundProblem p, int heads) {
  extern __shared__ int memory[];
  __shared__ Surplus of_warps[kAuctionWarps];
  __shared__ unsigned joined[2][kAuctionWarps];
  __shared__ AuctionRoom room;
  const AuctionRound round(memory, p.clusters);
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int block = static_cast<int>(blockIdx.x);
  const int blocks = static_cast<int>(gridDim.x);
  for (int head = static_cast<int>(blockIdx.y); head < heads; head += gridDim.y) {
    if (p.step[head] < 0) continue;
    for (int c = static_cast<int>(threadIdx.x); c <= p.clusters; c += kAuctionThreads)
      round.offsets[c] = p.offsets[head * p.offsets_stride + c];
    __syncthreads();
    unsigned turn = 0;
    for (int number = 1; number <= kRoundRounds; ++number) {
      const Surplus all = begin_round(p, round, head, of_warps);
      if (all.few + all.many == 0) break;
      if (all.guests > 0) deal_out(p, round, head);
      meet(p, head, ++turn);
      for (int i = block; i < all.many; i += blocks)
        send_away(p, round, head, number, round.too_many[p.clusters - 1 - i],
                  BlockTeam{room, joined});
      // The blocks that have one large cluster more begin one turn later with the small ones.
      const int busy = all.many % blocks;
      const int early = kAuctionWarps * (blocks - busy);
      const int later = early + warp * blocks + block;
      for (int i = block < busy ? later : warp * (blocks - busy) + block - busy; i < all.few;
           i = i < early ? later : i + kAuctionWarps * blocks)
        send_away(p, round, head, number, round.too_many[i], WarpTeam{room});
      meet(p, head, ++turn);
    }
    write_labels(p, head);
  }
}

}  // namespace sparsevid::ops::cuda
