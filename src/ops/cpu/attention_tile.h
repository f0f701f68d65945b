// One tile of attention, a few queries over a list of packed keys, and the kernels that compute it.
//
// Every attention op of the CPU comes down to tiles: dense ones list all keys, block-sparse ones
// the chosen clusters and a pseudo key for each of the others, bands a range of keys with a window
// of rows for each. So there is one kernel for each instruction set, and this is its interface.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sparsevid::ops::cpu {

/// Rows of head_dim elements anywhere in memory.
struct AttentionRows {
  const void* data = nullptr;
  std::int64_t stride = 0;              ///< elements from one row to the next
  const std::int32_t* order = nullptr;  ///< row i of the tile is row order[i]; null: row i
  int count = 0;
  int following = 0;     ///< rows behind them in `order`, to be read soon
  bool is_bf16 = false;  ///< else f32
};

/// Neighbours in the packed keys: as many as one multiply-add of the kernel takes together.
struct KeyGroup {
  std::int32_t index;  ///< position in the packed keys, in groups
  float bias[2];       ///< of each key, added to its logits, divided by the scale; -inf: not there
};

/// The rows of the tile that see a key: [begin, end).
struct KeyWindow {
  std::int32_t begin;
  std::int32_t end;
};

struct AttentionTile {
  AttentionRows q;
  AttentionRows out;  ///< written
  int head_dim = 0;
  const void* keys = nullptr;    ///< by pack_keys
  const void* values = nullptr;  ///< by pack_values
  const KeyGroup* groups = nullptr;
  int group_count = 0;                 ///< a multiple of group_multiple
  const KeyWindow* windows = nullptr;  ///< [group_count * group] or null: every row sees every key
  /// [rows, keys] by position in the packed keys, added to the scaled logits; may be null.
  const float* bias = nullptr;
  std::int64_t bias_row_stride = 0;
  std::int64_t bias_key_stride = 0;
  int bias_keys = 0;        ///< keys that have a bias
  float scale = 1;          ///< > 0
  void* scratch = nullptr;  ///< scratch_bytes, 64-byte aligned
};

struct AttentionKernel {
  const char* name;
  int group;           ///< keys in a group: 1 or 2
  int group_multiple;  ///< lists are padded to a multiple of this with groups of bias -inf
  int group_run;       ///< so many groups of a list, from each multiple of it on, are read in place
                       ///< where they are neighbours, copied otherwise
  int tile_rows;       ///< most rows of a tile
  int element_bytes;   ///< of packed keys and values
  int head_dim_multiple;
  std::size_t (*scratch_bytes)(int head_dim, int rows);
  /// Writes ceil(count / group) groups; what is missing in the last one is zero.
  void (*pack_keys)(const AttentionRows& rows, int head_dim, void* packed);
  void (*pack_values)(const AttentionRows& rows, int head_dim, void* packed);
  void (*run)(const AttentionTile& tile);
  /// As in ClusterKernel.
  void (*statistics)(const void* rows, bool is_bf16, std::int64_t row_stride,
                     const std::int32_t* order, int count, std::int64_t readable, int size,
                     float* mean, float* variance);

  int padded_head_dim(int head_dim) const {
    return (head_dim + head_dim_multiple - 1) / head_dim_multiple * head_dim_multiple;
  }
  std::size_t group_bytes(int head_dim) const {
    return static_cast<std::size_t>(group) * static_cast<std::size_t>(padded_head_dim(head_dim)) *
           static_cast<std::size_t>(element_bytes);
  }
};

extern const AttentionKernel kAttentionAvx2;        ///< f32 inside
extern const AttentionKernel kAttentionAvx512;      ///< f32 inside
extern const AttentionKernel kAttentionAvx512Bf16;  ///< bf16 products, f32 sums
extern const AttentionKernel kAttentionAmx;         ///< bf16 products, f32 sums

}  // namespace sparsevid::ops::cpu
