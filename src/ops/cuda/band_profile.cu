// The problem: 64 queries a head against all 75,600 keys, once with every key and once under each
//   band: 3 x 64 rows, little arithmetic, every key and value read.
// Plan: for bf16 the main loop of attention_mma, a block for 64 rows of one kind (every key, the
//   band in frame-major order, the one in position-major order) and one of several ranges of keys;
//   then the ranges are put together. All else goes through attention_products, kind by kind.
// Bound: mma.sync, 3 x 64 rows of 75,600, a quarter of a percent of dense attention's work, at the
//   three quarters of its rate that one row tile to a warp allows. 40 heads: 1.28 ms on an H200.
#include "ops/cuda/band_profile.h"

#include <algorithm>

#include "ops/band_mask.h"
#include "ops/cuda/attention_mma/band_video.h"
#include "ops/cuda/attention_mma/head_rows.h"
#include "ops/cuda/attention_mma/launch_tiles.h"
#include "ops/cuda/attention_products/product_attention.h"

namespace sparsevid::ops::cuda {
namespace {

constexpr int kKinds = 3;  // every key, the band in frame-major order, the one in position-major

constexpr int kSeenByAll = INT32_MIN + 1;  // instead of the place of a key
constexpr int kSeenByNone = INT32_MIN;

/// Whether a key is within `width` of the query whose place is `lowest` + width.
__device__ bool band_sees(int lowest, int width, int place) {
  return place == kSeenByAll ||
         static_cast<unsigned>(place) - static_cast<unsigned>(lowest) <= 2U * width;
}

/// What a range of the keys contributes to the rows of a tile.
struct Partials {
  int ranges;
  int padded_rows;  ///< samples, in whole tiles
  float* output;    ///< [heads, kinds, padded rows, ranges, head_dim], not divided by the totals
  float2* sums;     ///< [heads, kinds, padded rows, ranges]: top and total of the weights

  __device__ std::int64_t at(int head_and_kind, int row, int range) const {
    return (static_cast<std::int64_t>(head_and_kind) * padded_rows + row) * ranges + range;
  }
};

struct ProfileProblem {
  HeadTileRows q, k, v;
  int head_dim;
  float scale;
  int k_len;
  BandVideo video;
  int width;
  const std::int32_t* rows;
  std::int64_t rows_stride;
  int samples;
  int range_keys;  ///< a multiple of the keys of a tile
  Partials partials;
};

template <class Tiles>
class ProfileSource {
 public:
  using Problem = ProfileProblem;
  struct Shared {
    int places[Tiles::kSlots][Tiles::kKeys];
    int lowest[Tiles::kRows];  ///< places of the queries, less the width
  };
  static constexpr bool kGathers = false;

  __device__ ProfileSource(const Problem& problem, Shared& shared, unsigned char*)
      : p_(problem), shared_(shared) {}

  __device__ bool begin() {
    for (int row = threadIdx.x; row < Tiles::kRows; row += kAttentionThreads) {
      const int token = query_token(row);
      shared_.lowest[row] =
          token < 0 ? 0 : p_.video.place_of(token - p_.video.begin, temporal()) - p_.width;
    }
    return true;  // the caller synchronises
  }
  __device__ TileRows queries() const { return p_.q.head(head()); }
  __device__ int query_token(int row) const {
    const int sample = first_sample() + row;
    return sample < p_.samples ? p_.rows[head() * p_.rows_stride + sample] : -1;
  }
  __device__ int tiles() const {
    const int count = min(p_.range_keys, p_.k_len - first_key());
    return (count + Tiles::kKeys - 1) / Tiles::kKeys;
  }
  __device__ void prepare(int tile) {
    if (threadIdx.x >= Tiles::kKeys) return;
    const int token = first_key() + tile * Tiles::kKeys + static_cast<int>(threadIdx.x);
    const int in_video = token - p_.video.begin;
    int place = kSeenByAll;
    if (token >= p_.k_len) {
      place = kSeenByNone;
    } else if (kind() > 0 && in_video >= p_.video.positions && in_video < p_.video.count()) {
      place = p_.video.place_of(in_video, temporal());
    }
    shared_.places[tile % Tiles::kSlots][threadIdx.x] = place;
  }
  template <class Loader>
  __device__ void load(const Loader& loader, unsigned to, int tile, bool values) const {
    loader.template load_range<Tiles::kKeys>(to, (values ? p_.v : p_.k).head(head()),
                                             first_key() + tile * Tiles::kKeys, p_.k_len);
  }
  __device__ bool adjusts(int tile) const {
    return kind() > 0 || first_key() + (tile + 1) * Tiles::kKeys > p_.k_len;
  }
  __device__ void adjust(int tile, int row_tile, int column, float factor,
                         float (&logits)[4]) const {
    const int row = tile_row<Tiles>(2 * row_tile);
    const int* places = &shared_.places[tile % Tiles::kSlots][column];
#pragma unroll
    for (int h = 0; h < 2; ++h) {
#pragma unroll
      for (int c = 0; c < 2; ++c) {
        float& logit = logits[2 * h + c];
        logit =
            band_sees(shared_.lowest[row + 8 * h], p_.width, places[c]) ? logit * factor : kMasked;
      }
    }
  }
  __device__ void finish(const TileMath<Tiles>& math, unsigned char*,
                         const int* query_tokens) const {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int i = 0; i < 2 * Tiles::kRowTiles; ++i) {
      const float total = quad_sum(math.softmax.total[i]);
      const int row = tile_row<Tiles>(i);
      if (query_tokens[row] < 0) continue;
      const std::int64_t at = p_.partials.at(blockIdx.y, first_sample() + row, blockIdx.x);
      if (lane % 4 == 0) p_.partials.sums[at] = {math.softmax.top[i], total};
      float* to = p_.partials.output + at * p_.head_dim;
#pragma unroll
      for (int n = 0; n < Tiles::kHeadDim / 8; ++n) {
        const int column = n * 8 + lane % 4 * 2;
        if (column < p_.head_dim)
          *reinterpret_cast<float2*>(to + column) = {math.output[i / 2][n][i % 2 * 2],
                                                     math.output[i / 2][n][i % 2 * 2 + 1]};
      }
    }
  }

 private:
  // blockIdx: range of keys, head and kind, tile of samples.
  __device__ std::int64_t head() const { return blockIdx.y / kKinds; }
  __device__ int kind() const { return static_cast<int>(blockIdx.y) % kKinds; }
  __device__ bool temporal() const { return kind() == 2; }
  __device__ int first_sample() const { return static_cast<int>(blockIdx.z) * Tiles::kRows; }
  __device__ int first_key() const { return static_cast<int>(blockIdx.x) * p_.range_keys; }

  const Problem& p_;
  Shared& shared_;
};

using NarrowProfile = AttentionTiles<64, 1, 64, 4, true, 2>;
using WideProfile = AttentionTiles<128, 1, 64, 4, true, 2>;

/// outputs[kind, head, sample, head_dim]; blockIdx: sample, head and kind.
__global__ void join_ranges(const Partials partials, int heads, int samples, int head_dim,
                            float* outputs) {
  const int sample = blockIdx.x;
  const int head = blockIdx.y / kKinds;
  const int kind = blockIdx.y % kKinds;
  const std::int64_t first = partials.at(blockIdx.y, sample, 0);
  float top = -INFINITY;
  for (int r = 0; r < partials.ranges; ++r) top = fmaxf(top, partials.sums[first + r].x);
  for (int d = threadIdx.x; d < head_dim; d += blockDim.x) {
    float sum = 0;
    float total = 0;
    for (int r = 0; r < partials.ranges && top > -INFINITY; ++r) {
      const float2 part = partials.sums[first + r];
      const float weight = exp2f(part.x - top);
      total += weight * part.y;
      sum += weight * partials.output[(first + r) * head_dim + d];
    }
    outputs[((static_cast<std::int64_t>(kind) * heads + head) * samples + sample) * head_dim + d] =
        total > 0 ? sum / total : 0.F;
  }
}

constexpr int kErrorThreads = 512;

/// Mean squared differences of the second and third kind from the first. A block for each head.
__global__ void __launch_bounds__(kErrorThreads)
    measure_errors(const float* outputs, int heads, int count, float* errors,
                   std::int64_t errors_stride, std::uint8_t* temporal) {
  const float* exact = outputs + static_cast<std::int64_t>(blockIdx.x) * count;
  for (int band = 0; band < 2; ++band) {
    const float* masked = exact + static_cast<std::int64_t>(band + 1) * heads * count;
    float sum = 0;
    for (int i = threadIdx.x; i < count; i += kErrorThreads) {
      const float difference = masked[i] - exact[i];
      sum = fmaf(difference, difference, sum);
    }
    __shared__ float of_warps[kErrorThreads / 32];
    for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(0xffffffffU, sum, step);
    if (threadIdx.x % 32 == 0) of_warps[threadIdx.x / 32] = sum;
    __syncthreads();
    if (threadIdx.x == 0) {
      double all = 0;
      for (const float part : of_warps) all += part;
      errors[blockIdx.x * errors_stride + band] = static_cast<float>(all / count);
    }
    __syncthreads();
  }
  if (threadIdx.x == 0 && temporal != nullptr) {
    const float* both = errors + blockIdx.x * errors_stride;
    temporal[blockIdx.x] = both[1] < both[0] ? 1 : 0;
  }
}

template <class Tiles>
void profile_bf16(const BandProfileParams& params, float* outputs, Context& context) {
  const auto heads = static_cast<int>(params.q.size(0));
  const auto samples = static_cast<int>(params.rows.size(1));
  const auto k_len = static_cast<int>(params.k.size(1));
  const auto head_dim = static_cast<int>(params.q.size(2));
  const int sample_tiles = ceil_div(samples, Tiles::kRows);
  const int key_tiles = ceil_div(k_len, Tiles::kKeys);
  // A few rounds of blocks, and ranges long enough that a block does more than begin and end.
  const int blocks = heads * kKinds * sample_tiles;
  constexpr int kRounds = 4;
  constexpr int kLeastTiles = 16;
  const int wanted = ceil_div(kRounds * Tiles::kBlocks * device_facts().multiprocessors, blocks);
  const int tiles_of_range =
      std::max(ceil_div(key_tiles, wanted), std::min(kLeastTiles, key_tiles));
  const int ranges = ceil_div(key_tiles, tiles_of_range);
  const int padded_rows = sample_tiles * Tiles::kRows;
  const std::int64_t parts = static_cast<std::int64_t>(heads) * kKinds * padded_rows * ranges;
  const Partials partials{ranges, padded_rows, context.arena.array<float>(parts * head_dim),
                          context.arena.array<float2>(parts)};
  const int video = params.frames * params.positions;
  const ProfileProblem problem{head_tile_rows(params.q),
                               head_tile_rows(params.k),
                               head_tile_rows(params.v),
                               head_dim,
                               static_cast<float>(params.scale),
                               k_len,
                               {params.video_begin, params.frames, params.positions},
                               static_cast<int>(std::min<std::int64_t>(params.width, video)),
                               device_pointer<const std::int32_t>(params.rows),
                               params.rows.stride(0),
                               samples,
                               tiles_of_range * Tiles::kKeys,
                               partials};
  const dim3 grid(static_cast<unsigned>(ranges), static_cast<unsigned>(heads * kKinds),
                  static_cast<unsigned>(sample_tiles));
  launch_tiles<Tiles, ProfileSource<Tiles>>("band_profile", problem, grid, 0, stream_of(context));
  join_ranges<<<dim3(static_cast<unsigned>(samples), static_cast<unsigned>(heads * kKinds)), 128, 0,
                stream_of(context)>>>(partials, heads, samples, head_dim, outputs);
  check_launch("band_profile: ranges");
}

template <typename T>
__global__ void gather_rows(const T* q, std::int64_t head_stride, std::int64_t stride,
                            const std::int32_t* rows, std::int64_t rows_stride, int head_dim,
                            float* to) {
  const std::int64_t head = blockIdx.y;
  const std::int64_t token = rows[head * rows_stride + blockIdx.x];
  for (int d = threadIdx.x; d < head_dim; d += blockDim.x)
    to[(head * gridDim.x + blockIdx.x) * head_dim + d] =
        to_float(q[head * head_stride + token * stride + d]);
}

struct SampledBand {
  BandMask mask;
  bool every;  ///< every key, no mask
  const std::int32_t* rows;
  std::int64_t rows_stride;

  __device__ float operator()(int head, int sample, int key, float logit) const {
    return every || mask.sees(rows[head * rows_stride + sample], key) ? logit : -INFINITY;
  }
};

void profile_by_products(const BandProfileParams& params, float* outputs, Context& context) {
  const std::int64_t heads = params.q.size(0);
  const std::int64_t samples = params.rows.size(1);
  const std::int64_t head_dim = params.q.size(2);
  const TensorView queries = context.arena.tensor(DType::f32, {heads, samples, head_dim});
  const auto* rows = device_pointer<const std::int32_t>(params.rows);
  const std::int64_t rows_stride = params.rows.stride(0);
  with_float_type(params.q.dtype(), [&]<typename T>(T) {
    gather_rows<<<dim3(static_cast<unsigned>(samples), static_cast<unsigned>(heads)), 128, 0,
                  stream_of(context)>>>(device_pointer<const T>(params.q), params.q.stride(0),
                                        params.q.stride(1), rows, rows_stride,
                                        static_cast<int>(head_dim), queries.as<float>());
  });
  check_launch("band_profile: rows");
  for (int kind = 0; kind < kKinds; ++kind) {
    const SampledBand band{
        {params.video_begin, params.frames, params.positions, params.width, kind == 2},
        kind == 0,
        rows,
        rows_stride};
    const TensorView out(outputs + kind * queries.numel(), DType::f32, queries.shape(),
                         Device::cuda);
    product_attention({queries, params.k, params.v, {}, {}, out, params.scale}, band, context);
  }
}

}  // namespace

std::string band_profile_refusal(const BandProfileParams& params, const Context&) {
  return unless_on_gpu(params.q);
}

void band_profile(const BandProfileParams& params, Context& context) {
  if (params.q.size(0) == 0 || params.rows.numel() == 0) return;
  const Arena::Scope scope(context.arena);
  const std::int64_t heads = params.q.size(0);
  const std::int64_t count = params.rows.size(1) * params.q.size(2);
  float* outputs = context.arena.array<float>(kKinds * heads * count);
  if (mma_refusal(params.q, params.k, params.v, params.v, params.scale, kWidestMmaHead).empty()) {
    if (params.q.size(2) <= 64) {
      profile_bf16<NarrowProfile>(params, outputs, context);
    } else {
      profile_bf16<WideProfile>(params, outputs, context);
    }
  } else {
    profile_by_products(params, outputs, context);
  }
  measure_errors<<<static_cast<unsigned>(heads), kErrorThreads, 0, stream_of(context)>>>(
      outputs, static_cast<int>(heads), static_cast<int>(count),
      device_pointer<float>(params.errors), params.errors.stride(0),
      params.temporal.defined() ? params.temporal.as<std::uint8_t>() : nullptr);
  check_launch("band_profile: errors");
}

}  // namespace sparsevid::ops::cuda
