// The pieces of work of band attention, and the tiles of keys that each of them reads.
#pragma once

#include <cuda.h>

#include "ops/cuda/attention_hopper/query_load.h"
#include "ops/cuda/attention_hopper/work_slots.h"
#include "ops/cuda/attention_mma/band_video.h"

namespace sparsevid::ops::cuda {

struct BandArguments {
  CUtensorMap k, v;                    // boxes of a tile's tokens, in frame-major order
  CUtensorMap k_temporal, v_temporal;  // boxes of `box_positions` in all frames but the first
  HeadPointers<const __nv_bfloat16> q;
  HeadPointers<__nv_bfloat16> out;
  const std::uint8_t* temporal;
  std::int64_t temporal_stride;
  int* next_work;
  BandVideo video;
  int seq_len;
  int width;
  int heads;
  int outside_pieces;  // of a head: queries outside the video, which see all tokens
  int video_pieces;
  int box_positions;
  float scale_log2;
};

/// Up to a tile of queries that are neighbours in the head's order, and the keys they see:
/// sections, one after the other, each in tiles of its own. First the tokens before the video and
/// its first frame (or all, for queries outside the video), then the tokens behind the video, then
/// of the others the band. Its keys are counted in the head's order without the first frame; tiles
/// of a temporal head are whole positions, so that the copy engine puts them into this order.
struct BandWork {
  int head;   // < 0: no more work
  int first;  // place in the video, or, outside it, among the tokens there
  int rows;
  bool outside;
  bool temporal;
  int sinks, behind;  // keys of these sections
  int sink_tiles, behind_tiles, band_tiles;
  int band_begin;  // the first key of the band's tiles
  int band_keys;   // of each of them
  int all_begin;   // keys between these are seen by all queries
  int all_end;

  __device__ int tiles() const { return sink_tiles + behind_tiles + band_tiles; }
};

/// Tokens behind the first frame whose places are smaller than `place`.
__device__ inline int band_keys_before(const BandVideo& video, bool temporal, int place) {
  if (!temporal) return max(place - video.positions, 0);
  const int frames = video.frames;
  return place / frames * (frames - 1) + max(place % frames - 1, 0);
}
/// What the query at `place` sees of the band: keys from here...
__device__ inline int band_seen_begin(const BandArguments& a, bool temporal, int place) {
  return band_keys_before(a.video, temporal, max(place - a.width, 0));
}
/// ...to here.
__device__ inline int band_seen_end(const BandArguments& a, bool temporal, int place) {
  return band_keys_before(a.video, temporal, min(place + a.width, a.video.count() - 1) + 1);
}

/// Keys [first, first + count) of a section.
struct BandTile {
  enum Section { sinks, behind, band } section;
  int first;
  int count;
};

template <int kKeys>
__device__ BandTile band_tile(const BandWork& work, int i) {
  const auto part = [](BandTile::Section section, int tile, int keys) {
    return BandTile{section, tile * kKeys, min(kKeys, keys - tile * kKeys)};
  };
  if (i < work.sink_tiles) return part(BandTile::sinks, i, work.sinks);
  i -= work.sink_tiles;
  if (i < work.behind_tiles) return part(BandTile::behind, i, work.behind);
  i -= work.behind_tiles;
  return {BandTile::band, work.band_begin + i * work.band_keys, work.band_keys};
}

/// The work of this index: queries outside the video first, having the most keys, then head by
/// head.
template <class Tile>
__device__ BandWork band_work(const BandArguments& a, int index) {
  const auto tiles_of = [](int keys, int tile) { return (keys + tile - 1) / tile; };
  BandWork work{};
  work.head = -1;
  work.outside = index < a.heads * a.outside_pieces;
  if (!work.outside) index -= a.heads * a.outside_pieces;
  const int pieces = work.outside ? a.outside_pieces : a.video_pieces;
  const int beside = a.seq_len - a.video.count();
  if (index >= a.heads * pieces) return work;
  work.head = index / pieces;
  work.first = index % pieces * Tile::kRows;
  work.rows = min(Tile::kRows, (work.outside ? beside : a.video.count()) - work.first);
  work.temporal = a.temporal[work.head * a.temporal_stride] != 0;
  work.sinks = work.outside ? a.seq_len : a.video.begin + a.video.positions;
  work.behind = work.outside ? 0 : beside - a.video.begin;
  work.sink_tiles = tiles_of(work.sinks, Tile::kKeys);
  work.behind_tiles = tiles_of(work.behind, Tile::kKeys);
  if (work.outside || a.video.frames == 1) return work;
  const int last = work.first + work.rows - 1;
  const int behind_first = a.video.frames - 1;
  work.band_keys = work.temporal ? a.box_positions * behind_first : Tile::kKeys;
  work.band_begin = band_seen_begin(a, work.temporal, work.first);
  if (work.temporal) work.band_begin -= work.band_begin % behind_first;
  work.band_tiles =
      tiles_of(band_seen_end(a, work.temporal, last) - work.band_begin, work.band_keys);
  work.all_begin = band_seen_begin(a, work.temporal, last);
  work.all_end = band_seen_end(a, work.temporal, work.first);
  return work;
}

/// The token of the work's query in this row.
__device__ inline int band_token(const BandArguments& a, const BandWork& work, int row) {
  const int index = work.first + row;
  if (!work.outside) return a.video.token_of_place(index, work.temporal);
  return index < a.video.begin ? index : index + a.video.count();
}

}  // namespace sparsevid::ops::cuda
