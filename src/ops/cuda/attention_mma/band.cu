// Band attention (Sparse VideoGen): a tile of queries that are neighbours in the head's order, and
// three sections of keys: the tokens outside the video, the first frame, and what lies in the band
// of any of the queries. Key tiles that no query sees are never named; those at the edges of the
// band are masked: counted like that, what a query sees of the band is one range. Temporal heads
// name rows through the position-major order, so nothing is permuted in memory. Queries outside the
// video see every token.
#include <algorithm>

#include "ops/cuda/attention_mma/attention_mma.h"
#include "ops/cuda/attention_mma/band_video.h"
#include "ops/cuda/attention_mma/head_rows.h"
#include "ops/cuda/attention_mma/launch_tiles.h"

namespace sparsevid::ops::cuda {
namespace {

struct BandProblem {
  HeadTileRows q, k, v, out;
  int head_dim;
  float scale;
  int seq_len;
  BandVideo video;
  int width;
  const std::uint8_t* temporal;
  std::int64_t temporal_stride;
  int outside_tiles;  ///< of queries outside the video; they come first, having the most keys
};

template <class Tiles>
class BandSource {
 public:
  using Problem = BandProblem;
  struct Shared {
    alignas(16) int tokens[Tiles::kSlots][Tiles::kKeys];
    int2 seen[Tiles::kRows];  ///< the first key of the band that a query sees, and their number
    // Here and not in registers, which are all taken.
    int first_for_all;  ///< the keys of the band from here...
    int end_for_all;    ///< ...to here are seen by all queries of the tile
    bool temporal;
    int keys;
    int always;      ///< the keys before this one are seen by all queries of the tile
    int band_begin;  ///< the first key of the band, counted among the video's keys in the head's
                     ///< order without the first frame
  };
  static constexpr bool kGathers = true;

  __device__ BandSource(const Problem& problem, Shared& shared, unsigned char*)
      : p_(problem), shared_(shared) {}

  __device__ bool begin() {
    if (threadIdx.x == 0) find_sections();
    __syncthreads();
    for (int row = threadIdx.x; row < Tiles::kRows; row += kAttentionThreads) find_seen(row);
    return true;  // the caller synchronises
  }
  __device__ TileRows queries() const { return p_.q.head(blockIdx.y); }
  __device__ int query_token(int row) const {
    if (outside()) {
      const int index = static_cast<int>(blockIdx.x) * Tiles::kRows + row;
      return index < p_.seq_len - p_.video.count() ? outside_token(index) : -1;
    }
    const int place = first_place() + row;
    return place < p_.video.count() ? p_.video.token_of_place(place, shared_.temporal) : -1;
  }
  __device__ int tiles() const { return (shared_.keys + Tiles::kKeys - 1) / Tiles::kKeys; }
  __device__ void prepare(int tile) {
    if (threadIdx.x < Tiles::kKeys)
      shared_.tokens[tile % Tiles::kSlots]
                    [RowLoader<Tiles::kHeadDim>::template list_place<Tiles::kKeys>(threadIdx.x)] =
          key(tile * Tiles::kKeys + threadIdx.x);
  }
  template <class Loader>
  __device__ void load(const Loader& loader, unsigned to, int tile, bool values) const {
    loader.template load_list<Tiles::kKeys>(to, (values ? p_.v : p_.k).head(blockIdx.y),
                                            shared_.tokens[tile % Tiles::kSlots]);
  }
  __device__ bool adjusts(int tile) const {
    const int first = tile * Tiles::kKeys;
    const int end = first + Tiles::kKeys;
    if (end > shared_.keys) return true;
    return end > shared_.always &&
           (max(first, shared_.always) < shared_.first_for_all || end > shared_.end_for_all);
  }
  __device__ void adjust(int tile, int row_tile, int column, float factor,
                         float (&logits)[4]) const {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const int2 seen = shared_.seen[tile_row<Tiles>(2 * row_tile + h)];
#pragma unroll
      for (int c = 0; c < 2; ++c) {
        const int key = tile * Tiles::kKeys + column + c;
        const bool sees = key < shared_.always ||
                          static_cast<unsigned>(key - seen.x) < static_cast<unsigned>(seen.y);
        float& logit = logits[2 * h + c];
        logit = sees ? logit * factor : kMasked;
      }
    }
  }
  __device__ void finish(const TileMath<Tiles>& math, unsigned char* ring,
                         const int* query_tokens) const {
    store_outputs(
        math, ring, [&](int row) { return query_tokens[row]; },
        p_.out.data + blockIdx.y * p_.out.head_stride, p_.out.stride, p_.head_dim);
  }

 private:
  __device__ bool outside() const { return static_cast<int>(blockIdx.x) < p_.outside_tiles; }
  __device__ int first_place() const {
    return (static_cast<int>(blockIdx.x) - p_.outside_tiles) * Tiles::kRows;
  }
  __device__ int outside_token(int index) const {
    return index < p_.video.begin ? index : index + p_.video.count();
  }

  __device__ void find_sections() {
    shared_.temporal = p_.temporal[blockIdx.y * p_.temporal_stride] != 0;
    if (outside()) {
      shared_.keys = shared_.always = p_.seq_len;
      return;
    }
    const int last_place = min(first_place() + Tiles::kRows, p_.video.count()) - 1;
    shared_.always = p_.seq_len - p_.video.count() + p_.video.positions;
    shared_.band_begin = band_keys_before(max(first_place() - p_.width, 0));
    // No sum can overflow: a width beyond the video is cut to it.
    const int band_end = band_keys_before(min(last_place + p_.width, p_.video.count() - 1) + 1);
    shared_.keys = shared_.always + band_end - shared_.band_begin;
  }

  /// Of the band, what the query of a row sees.
  __device__ void find_seen(int row) {
    int2 seen{0, 0};
    if (!outside()) {
      const int last = p_.video.count() - 1;
      const int place = min(first_place() + row, last);
      const int begin = band_keys_before(max(place - p_.width, 0));
      const int end = band_keys_before(min(place + p_.width, last) + 1);
      seen = {shared_.always + begin - shared_.band_begin, end - begin};
      if (row == 0) shared_.end_for_all = seen.x + seen.y;
      if (row == Tiles::kRows - 1) shared_.first_for_all = seen.x;
    }
    shared_.seen[row] = seen;
  }

  /// Tokens behind the first frame whose places are smaller than `place`.
  __device__ int band_keys_before(int place) const {
    if (!shared_.temporal) return max(place - p_.video.positions, 0);
    const int frames = p_.video.frames;
    return place / frames * (frames - 1) + max(place % frames - 1, 0);
  }
  __device__ int place_in_band(int index) const {
    if (!shared_.temporal) return index + p_.video.positions;
    const int behind = p_.video.frames - 1;
    return index / behind * p_.video.frames + index % behind + 1;
  }

  /// The token of the tile's `index`th key.
  __device__ int key(int index) const {
    if (index >= shared_.keys) return -1;
    if (outside()) return index;
    const int beside = p_.seq_len - p_.video.count();
    if (index < beside) return outside_token(index);
    if (index < shared_.always) return p_.video.begin + index - beside;
    return p_.video.token_of_place(place_in_band(shared_.band_begin + index - shared_.always),
                                   shared_.temporal);
  }

  const Problem& p_;
  Shared& shared_;
};

}  // namespace

std::string band_attention_mma_refusal(const BandAttentionParams& params, const Context&) {
  return mma_refusal(params.q, params.k, params.v, params.out, params.scale, kWidestMmaHead);
}

void band_attention_mma(const BandAttentionParams& params, Context& context) {
  if (params.out.numel() == 0) return;
  const auto seq_len = static_cast<int>(params.q.size(1));
  with_tiles(params.q.size(2), [&]<class Tiles>(Tiles) {
    const int video = params.frames * params.positions;
    const int outside_tiles = ceil_div(seq_len - video, Tiles::kRows);
    const BandProblem problem{head_tile_rows(params.q),
                              head_tile_rows(params.k),
                              head_tile_rows(params.v),
                              head_tile_rows(params.out),
                              static_cast<int>(params.q.size(2)),
                              static_cast<float>(params.scale),
                              seq_len,
                              {params.video_begin, params.frames, params.positions},
                              static_cast<int>(std::min<std::int64_t>(params.width, video)),
                              device_pointer<const std::uint8_t>(params.temporal),
                              params.temporal.stride(0),
                              outside_tiles};
    const dim3 grid(static_cast<unsigned>(outside_tiles + ceil_div(video, Tiles::kRows)),
                    static_cast<unsigned>(params.q.size(0)));
    launch_tiles<Tiles, BandSource<Tiles>>("band_attention", problem, grid, 0, stream_of(context));
  });
}

}  // namespace sparsevid::ops::cuda
