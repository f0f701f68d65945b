// Frames side by side in one still picture.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "io/image_io.h"

namespace sparsevid {

struct SheetLayout {
  int columns = 1;
  int gap = 8;                          // pixels between cells and around them
  std::uint8_t background = 255;        // grey level; labels are black or white against it
  std::vector<std::string> row_labels;  // above each row, e.g. "semantic-tail 0.15"; may be empty
  std::vector<std::string> column_labels;  // above the first row, e.g. "frame 12"; may be empty
  int label_scale = 2;                     // pixels of the sheet per pixel of the 5 x 7 font
};

/// Places `cells` row by row, `columns` in each row. Throws Error(bad_input) when there are none,
/// they differ in size, or the number of labels is not that of the rows or columns.
Image compose_sheet(std::span<const Image> cells, const SheetLayout& layout);

}  // namespace sparsevid
