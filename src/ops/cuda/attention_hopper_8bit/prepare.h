// Queries, keys and values rounded to 8 bits and laid out as the tensor cores read them (tile.h).
//
// What is rounded is not what came in, but equivalent to it:
//   keys less their mean, which adds the same to all logits of a query, so softmax does not see it;
//   queries and keys with signs of channels flipped and a Hadamard transform over the channels, the
//     same for both, so that their products stay: a channel with large values is spread over all,
//     and int8 loses little;
//   values less their mean, which is added to the output again, as weights sum to 1.
#pragma once

#include "core/arena.h"
#include "ops/attention_8bit.h"
#include "ops/cuda/attention_hopper_8bit/prepare_kernels.h"
#include "ops/cuda/common/launch.h"

namespace sparsevid::ops::cuda {

/// Of some heads. The last tile of keys is filled with copies of the last key that have no weight.
struct Prepared8 {
  unsigned char* q;  // [heads, q_rows, 128]
  unsigned char* k;  // [heads, k_tiles] tiles
  unsigned char* v;  // [heads, k_tiles] tiles
  float* q_scale;    // [heads, q_rows]; products of int8 times both scales are 128 q . k
  float* v_scale;    // [heads, 128]
  float* v_mean;     // [heads, 128]
  int q_rows;        // a multiple of what a cluster of blocks takes
  int k_tiles;
};

template <class Tile>
class Preparation {
 public:
  Preparation(const Attention8bitParams& params, int row_multiple)
      : params_(params),
        q_rows_(ceil_div(static_cast<int>(params.q.size(1)), row_multiple) * row_multiple),
        k_tiles_(ceil_div(static_cast<int>(params.k.size(1)), Tile::kKeys)),
        pieces_(ceil_div(static_cast<int>(params.k.size(1)), kPieceRows)) {}

  /// Of scratch for one head.
  std::size_t bytes() const {
    return static_cast<std::size_t>(q_rows_) * (kHeadDim8 + sizeof(float)) +
           static_cast<std::size_t>(k_tiles_) *
               (Tile::kKeyBytes + Tile::kValueBytes + kHeadDim8 * sizeof(float)) +
           static_cast<std::size_t>(pieces_ * kStatistics + 3) * kHeadDim8 * sizeof(float);
  }

  /// Queues the rounding of heads [first, first + heads).
  Prepared8 run(std::int64_t first, int heads, Arena& arena, cudaStream_t stream) const {
    const std::int64_t tiles = static_cast<std::int64_t>(heads) * k_tiles_;
    const std::int64_t channels = static_cast<std::int64_t>(heads) * kHeadDim8;
    Prepared8 to{};
    to.q_rows = q_rows_;
    to.k_tiles = k_tiles_;
    to.q = arena.array<unsigned char>(channels * q_rows_);
    to.k = arena.array<unsigned char>(tiles * Tile::kKeyBytes);
    to.v = arena.array<unsigned char>(tiles * Tile::kValueBytes);
    to.q_scale = arena.array<float>(static_cast<std::int64_t>(heads) * q_rows_);
    to.v_scale = arena.array<float>(channels);
    to.v_mean = arena.array<float>(channels);
    const auto k_mean = arena.array<float>(channels);
    const auto lost = arena.array<float>(tiles * kHeadDim8);
    const auto partial = arena.array<float>(channels * kStatistics * pieces_);
    const HeadRows q = rows(params_.q, first);
    const HeadRows k = rows(params_.k, first);
    const HeadRows v = rows(params_.v, first);
    const auto grid = [heads](int tiles_of_head) {
      return dim3(static_cast<unsigned>(heads), static_cast<unsigned>(tiles_of_head));
    };
    statistics_of_pieces<<<grid(pieces_), 256, 0, stream>>>(k, v, pieces_, partial);
    check_launch("attention_8bit");
    means_of_heads<<<heads, kHeadDim8, 0, stream>>>(partial, pieces_, k.rows,
                                                    {k_mean, to.v_mean, to.v_scale});
    check_launch("attention_8bit");
    const int q_blocks = ceil_div(q_rows_, Tile::kKeys);
    round_to_8bit<Tile><<<grid(q_blocks + 2 * k_tiles_), Tile::kKeys * 4, 0, stream>>>(
        {q, k, v, to.q, to.k, to.v, to.q_scale, lost, k_mean, to.v_mean, to.v_scale, q_rows_,
         q_blocks, k_tiles_});
    check_launch("attention_8bit");
    correct_means<<<heads, 8 * kHeadDim8, 0, stream>>>(lost, k_tiles_, k.rows, to.v_scale,
                                                       to.v_mean);
    check_launch("attention_8bit");
    return to;
  }

 private:
  static HeadRows rows(const TensorView& view, std::int64_t first) {
    return {static_cast<const __nv_bfloat16*>(view.data()) + first * view.stride(0), view.stride(0),
            view.stride(1), static_cast<int>(view.size(1))};
  }

  const Attention8bitParams& params_;
  int q_rows_;
  int k_tiles_;
  int pieces_;
};

}  // namespace sparsevid::ops::cuda
