// The main loop of a computing warpgroup: 64 query rows against a stream of key tiles, in 8 bits.
//
// As in attention_hopper/attend.h, but the warpgroups take no turns, and the tensor cores keep
// about 14 bits of the sums of e4m3 products: what is cut off adds up, always to one side. So every
// few tiles the sums go into f32 sums kept in shared memory, where each thread has a place of its
// own.
#pragma once

#include "ops/cuda/attention_hopper_8bit/softmax.h"
#include "ops/cuda/attention_hopper_8bit/tile.h"

namespace sparsevid::ops::cuda {

/// The f32 sums of one warpgroup.
template <int kSums>
class KeptSums {
 public:
  __device__ explicit KeptSums(float4 (&kept)[kSums / 4][kWarpgroupThreads])
      : kept_(&kept[0][threadIdx.x % kWarpgroupThreads]) {}

  /// Adds `o`, whose weights are relative to `reference`.
  __device__ void add(const float (&o)[kSums], const float (&reference)[2]) {
    const float2 factor = take_factor(reference);
#pragma unroll
    for (int i = 0; i < kSums / 4; ++i) {
      float4& kept = kept_[i * kWarpgroupThreads];
      float4 sum = make_float4(o[4 * i], o[4 * i + 1], o[4 * i + 2], o[4 * i + 3]);
      if (any_) add_scaled(sum, kept, factor);
      kept = sum;
    }
    any_ = true;
  }

  /// o += what was kept.
  __device__ void give_back(float (&o)[kSums], const float (&reference)[2]) {
    if (!any_) return;
    const float2 factor = take_factor(reference);
#pragma unroll
    for (int i = 0; i < kSums / 4; ++i) {
      float4 sum = make_float4(o[4 * i], o[4 * i + 1], o[4 * i + 2], o[4 * i + 3]);
      add_scaled(sum, kept_[i * kWarpgroupThreads], factor);
      o[4 * i] = sum.x;
      o[4 * i + 1] = sum.y;
      o[4 * i + 2] = sum.z;
      o[4 * i + 3] = sum.w;
    }
  }

 private:
  __device__ float2 take_factor(const float (&reference)[2]) {
    const float2 factor = any_ ? make_float2(exp2_approximate(reference_[0] - reference[0]),
                                             exp2_approximate(reference_[1] - reference[1]))
                               : make_float2(0, 0);
    reference_[0] = reference[0];
    reference_[1] = reference[1];
    return factor;
  }
  __device__ static void add_scaled(float4& sum, const float4& kept, float2 factor) {
    sum.x = fmaf(kept.x, factor.x, sum.x);
    sum.y = fmaf(kept.y, factor.x, sum.y);
    sum.z = fmaf(kept.z, factor.y, sum.z);
    sum.w = fmaf(kept.w, factor.y, sum.w);
  }

  float4* kept_;
  float reference_[2];
  bool any_ = false;
};

/// Waits for a tile of keys and issues its logits into `s`, which has been begun.
template <class Tile, class Keys, int kPolynomialsOf16>
__device__ void issue_logits_of_tile(Shared8<Tile>& shared, const QueryRegisters<Tile::kHeadDim>& q,
                                     Keys& keys, const PipelineTurn<Tile::kStages>& turn,
                                     const Softmax8<kPolynomialsOf16>& softmax,
                                     int (&s)[Tile::kKeys / 2]) {
  if (keys.biased()) softmax.begin_logits(s, keys.scale(), keys.bias());
  keys.wait_k(turn.stage, turn.parity);
  issue_logits<Tile>(s, q, shared.k[turn.stage]);
}

/// `Keys` is the stream of key tiles: `wait_k(stage, parity)` and `release_k(stage)`,
/// `wait_v(stage, parity)`, `release_v(stage)`, of the tile waited for last `last()`, whether it is
/// the last one, and `scale()`, and of the one after it `biased()`, whether `bias()` has something
/// to be added to its logits, which are in powers of 2: only where all tiles have one scale. There
/// is at least one tile. Leaves in o the output times the weights' sum, which is the sum of the
/// last four of it over four threads.
template <class Tile, int kPolynomialsOf16, int kKeepEvery, class Keys>
__device__ void attend_8bit(Shared8<Tile>& shared, const QueryRegisters<Tile::kHeadDim>& q,
                            int warpgroup, Keys& keys, PipelineTurn<Tile::kStages>& turn,
                            Softmax8<kPolynomialsOf16>& softmax, float (&o)[Tile::kSums]) {
  int s[Tile::kKeys / 2];
  std::uint32_t p[Tile::kKeys / 32][4];
  KeptSums<Tile::kSums> kept(shared.kept[warpgroup]);

  softmax.begin_logits(s);
  issue_logits_of_tile(shared, q, keys, turn, softmax, s);
  wgmma_wait<0>();
  pin_registers(s);
  keys.release_k(turn.stage);
  softmax.start(s, keys.scale());
  pack_weights<Tile::kKeys>(p, s);

  int added = 0;  // tiles in o
  while (!keys.last()) {
    const PipelineTurn<Tile::kStages> values = turn;
    turn.advance();
    softmax.begin_logits(s);
    issue_logits_of_tile(shared, q, keys, turn, softmax, s);
    keys.wait_v(values.stage, values.parity);
    issue_output<Tile>(o, p, shared.v[values.stage], added != 0);
    wgmma_wait<1>();
    pin_registers(s);
    keys.release_k(turn.stage);
    const float before[2] = {softmax.reference(0), softmax.reference(1)};
    softmax.proceed(s, keys.scale());
    pin_registers(s);
    wgmma_wait<0>();
    pin_registers(o);
    keys.release_v(values.stage);
    pack_weights<Tile::kKeys>(p, s);
    if (++added == kKeepEvery) {
      kept.add(o, before);
      added = 0;
    } else if (softmax.rescales()) {
#pragma unroll
      for (int i = 0; i < Tile::kSums; ++i) o[i] *= softmax.factor(i / 2 % 2);
    }
  }
  keys.wait_v(turn.stage, turn.parity);
  issue_output<Tile>(o, p, shared.v[turn.stage], added != 0);
  wgmma_wait<0>();
  pin_registers(o);
  keys.release_v(turn.stage);
  turn.advance();
  const float reference[2] = {softmax.reference(0), softmax.reference(1)};
  kept.give_back(o, reference);
}

/// The output from what attend_8bit leaves, with the scale and mean of each column of the values.
template <class Tile>
__device__ void finish_output(const float (&o)[Tile::kSums], const float* v_scale,
                              const float* v_mean, float (&result)[Tile::kHeadDim / 2]) {
  constexpr int kHeadDim = Tile::kHeadDim;
  const int lane = threadIdx.x % 32;
  float factor[2];
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    // (With a shuffle that reads one thread's, ptxas 13.0 lets no two products be in flight.)
    float sum = o[kHeadDim / 2 + 2 * h] + o[kHeadDim / 2 + 2 * h + 1];
    sum += __shfl_xor_sync(~0u, sum, 1);
    sum += __shfl_xor_sync(~0u, sum, 2);
    factor[h] = 1 / sum;
  }
  const float2* const scales = reinterpret_cast<const float2*>(v_scale) + lane % 4;
  const float2* const means = reinterpret_cast<const float2*>(v_mean) + lane % 4;
#pragma unroll
  for (int block = 0; block < kHeadDim / 8; ++block) {
    const float2 scale = scales[4 * block];
    const float2 mean = means[4 * block];
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const int i = 4 * block + 2 * h;
      result[i] = fmaf(o[i], factor[h] * scale.x, mean.x);
      result[i + 1] = fmaf(o[i + 1], factor[h] * scale.y, mean.y);
    }
  }
}

}  // namespace sparsevid::ops::cuda
