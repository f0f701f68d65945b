// The product of rows with packed centroids on AMX tiles: packed panels are tiles already, rows of
// pairs of bf16 times sixteen columns. Templated on the tile instructions, so that tests can run
// the same code on a CPU without them.
#pragma once

#include <cstdint>

#include "ops/cpu/cluster_kernel.h"

namespace sparsevid::ops::cpu {
namespace {

constexpr int kTileRows = 16;  // and words of a row
static_assert(kPanel == kTileRows && kClusterBlock % (2 * kTileRows) == 0);

/// kRows tiles of rows with kPanels panels, one or two of each. Tiles: 0 to 3 the sums, 4 and 5
/// rows, 6 and 7 panels.
template <class Tiles, int kRows, int kPanels>
void amx_product_tile(const WordRows& rows, int row, const std::uint32_t* panels, int words,
                      float* out, int columns) {
  constexpr std::int64_t kPanelBytes = kPanel * sizeof(std::uint32_t);
  const auto row_bytes = static_cast<std::int64_t>(rows.row_stride * sizeof(std::uint32_t));
  const auto out_bytes = static_cast<std::int64_t>(columns * sizeof(float));
  const std::uint32_t* upper = rows.data + row * rows.row_stride;
  const std::uint32_t* lower = upper + kTileRows * rows.row_stride;
  Tiles::template zero<0>();
  if constexpr (kPanels == 2) Tiles::template zero<1>();
  if constexpr (kRows == 2) Tiles::template zero<2>();
  if constexpr (kRows == 2 && kPanels == 2) Tiles::template zero<3>();
  for (int w = 0; w < words; w += kTileRows) {
    Tiles::template load<4>(upper + w, row_bytes);
    Tiles::template load<6>(panels + w * kPanel, kPanelBytes);
    Tiles::template dot<0, 4, 6>();
    if constexpr (kPanels == 2) {
      Tiles::template load<7>(panels + (words + w) * kPanel, kPanelBytes);
      Tiles::template dot<1, 4, 7>();
    }
    if constexpr (kRows == 2) {
      Tiles::template load<5>(lower + w, row_bytes);
      Tiles::template dot<2, 5, 6>();
      if constexpr (kPanels == 2) Tiles::template dot<3, 5, 7>();
    }
  }
  float* upper_out = out + row * columns;
  float* lower_out = upper_out + kTileRows * columns;
  Tiles::template store<0>(upper_out, out_bytes);
  if constexpr (kPanels == 2) Tiles::template store<1>(upper_out + kPanel, out_bytes);
  if constexpr (kRows == 2) Tiles::template store<2>(lower_out, out_bytes);
  if constexpr (kRows == 2 && kPanels == 2) Tiles::template store<3>(lower_out + kPanel, out_bytes);
}

template <class Tiles, int kPanels>
void amx_product_panels(const WordRows& rows, int row_count, const std::uint32_t* panels, int words,
                        float* out, int columns) {
  int r = 0;
  for (; r + kTileRows < row_count; r += 2 * kTileRows)
    amx_product_tile<Tiles, 2, kPanels>(rows, r, panels, words, out, columns);
  if (r < row_count) amx_product_tile<Tiles, 1, kPanels>(rows, r, panels, words, out, columns);
}

/// ClusterKernel::product; words a multiple of 16, one word of a row beside the next.
template <class Tiles>
void amx_product(const WordRows& rows, int row_count, const std::uint32_t* panels, int panel_count,
                 int words, float* out) {
  const int columns = panel_count * kPanel;
  Tiles::configure();
  int p = 0;
  for (; p + 2 <= panel_count; p += 2)
    amx_product_panels<Tiles, 2>(rows, row_count, panels + p * words * kPanel, words,
                                 out + p * kPanel, columns);
  if (p < panel_count)
    amx_product_panels<Tiles, 1>(rows, row_count, panels + p * words * kPanel, words,
                                 out + p * kPanel, columns);
  Tiles::release();
}

}  // namespace
}  // namespace sparsevid::ops::cpu
