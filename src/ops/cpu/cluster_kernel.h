// Products of many rows with the packed centroids of a head, and what k-means and the scores make
// of them: the interface of the kernels of each instruction set.
//
// All ops on clusters are a product of N rows with C centroids, taken a block of rows at a time so
// that the result stays in cache, and a short pass over each row of it.
#pragma once

#include <cstdint>

namespace sparsevid::ops::cpu {

/// Rows of a block, a multiple of every kernel's row step.
inline constexpr int kClusterBlock = 96;
/// Columns of a panel of packed centroids.
inline constexpr int kPanel = 16;

/// Rows as 32-bit words, one float or two bf16 each: word w of row r is at
/// data[r * row_stride + w * word_stride].
struct WordRows {
  const std::uint32_t* data;
  std::int64_t row_stride;
  std::int64_t word_stride;
};

/// Weights of a block of keys for a few queries, all of them and those inside each of two bands.
struct BandWeights {
  const float* logits;  ///< [keys][queries], in base 2
  const float* top;     ///< [queries]: the largest logit of each
  int keys;
  int queries;  ///< a multiple of kPanel
  /// Places in the order of each band; -1 for a key that every query sees.
  const float* key_places[2];    ///< [keys]
  const float* query_places[2];  ///< [queries]
  float width;
  float* weights[3];  ///< [keys][queries], written: everything, band 0, band 1
  float* totals[3];   ///< [queries], added to
};

struct ClusterKernel {
  const char* name;
  bool is_bf16;       ///< packed rows and panels hold bf16, else f32
  int word_multiple;  ///< rows are padded with zeros to a multiple of this many words

  /// out[r * 16 * panels + c] = rows[r] . column c, for rows [0, row_count rounded up to the
  /// block's step); rows up to kClusterBlock must be readable. Panels: [panels][words][16] words.
  void (*product)(const WordRows& rows, int row_count, const std::uint32_t* panels, int panel_count,
                  int words, float* out);
  /// Converts `size` elements of a row to words, zeros behind them up to `words`.
  void (*pack_row)(const void* row, bool is_bf16, int size, int words, std::uint32_t* to);
  /// labels[r] = the first c with the smallest bias[c] - products[r][c].
  void (*nearest)(const float* products, const float* bias, int columns, int rows,
                  std::int32_t* labels);
  /// sums[labels[r] * size + d] += rows[r][d], for neighbouring rows.
  void (*add_rows)(const void* rows, bool is_bf16, std::int64_t row_stride, int row_count, int size,
                   const std::int32_t* labels, float* sums);
  /// sum[c] += softmax_c(products[r][c] * scale + bias[c]) over all rows, in base 2.
  void (*add_softmax)(float* products, const float* bias, float scale, int columns, int rows,
                      float* sum);
  /// top[q] = the largest of top[q] and products[k][q] over all rows; columns a multiple of kPanel.
  void (*raise_top)(const float* products, int columns, int rows, float* top);
  void (*weigh_bands)(const BandWeights& block);
  /// out[r][c] = scores[r][c] * sqrt(products[r][c]) * weight[c]; c < count. The rows of scores and
  /// out are `count` apart, those of products `columns`.
  void (*weigh_spread)(const float* products, int columns, const float* weight, int rows, int count,
                       const float* scores, float* out);
  /// mean = the mean of the rows `order[0..count)`, of the first ones if `order` is null; variance
  /// as well unless it is null. Rows up to order[readable) are asked for in advance.
  void (*statistics)(const void* rows, bool is_bf16, std::int64_t row_stride,
                     const std::int32_t* order, int count, std::int64_t readable, int size,
                     float* mean, float* variance);

  int words(int head_dim) const {
    const int needed = is_bf16 ? (head_dim + 1) / 2 : head_dim;
    return (needed + word_multiple - 1) / word_multiple * word_multiple;
  }
};

extern const ClusterKernel kClusterAvx2;
extern const ClusterKernel kClusterAvx512;
extern const ClusterKernel kClusterAvx512Bf16;
extern const ClusterKernel kClusterAmx;

}  // namespace sparsevid::ops::cpu
