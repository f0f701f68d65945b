// Geometry of a contact sheet.
#include "io/image_sheet.h"

#include <algorithm>

#include "base/error.h"
#include "io/image_font.h"

namespace sparsevid {

namespace {

void check_sheet(std::span<const Image> cells, const SheetLayout& layout, int rows) {
  require(!cells.empty() && layout.columns > 0 && layout.gap >= 0 && layout.label_scale > 0,
          ErrorKind::bad_input,
          "picture sheet: expected cells, columns and a label scale above 0, found {}, {} and {}",
          cells.size(), layout.columns, layout.label_scale);
  for (const Image& cell : cells)
    require(cell.width == cells[0].width && cell.height == cells[0].height, ErrorKind::bad_input,
            "picture sheet: expected cells of {} x {}, found one of {} x {}", cells[0].width,
            cells[0].height, cell.width, cell.height);
  const auto check_labels = [](const std::vector<std::string>& labels, int count, const char* of) {
    require(labels.empty() || static_cast<int>(labels.size()) == count, ErrorKind::bad_input,
            "picture sheet: expected {} {} labels, found {}", count, of, labels.size());
  };
  check_labels(layout.row_labels, rows, "row");
  check_labels(layout.column_labels, layout.columns, "column");
}

}  // namespace

Image compose_sheet(std::span<const Image> cells, const SheetLayout& layout) {
  const int rows = layout.columns > 0
                       ? (static_cast<int>(cells.size()) + layout.columns - 1) / layout.columns
                       : 0;
  check_sheet(cells, layout, rows);
  const int cell_width = cells[0].width;
  const int cell_height = cells[0].height;
  const int label_height = kLineHeight * layout.label_scale + layout.gap;
  const int head = layout.column_labels.empty() ? 0 : label_height;
  const int above_row = layout.row_labels.empty() ? 0 : label_height;
  const int row_pitch = above_row + cell_height + layout.gap;
  const int column_pitch = cell_width + layout.gap;

  Image sheet(layout.gap + layout.columns * column_pitch, layout.gap + head + rows * row_pitch);
  std::fill(sheet.rgb.begin(), sheet.rgb.end(), layout.background);
  const std::uint8_t ink = layout.background < 128 ? 255 : 0;
  for (std::size_t c = 0; c < layout.column_labels.size(); ++c)
    draw_text(sheet, layout.gap + static_cast<int>(c) * column_pitch, layout.gap,
              layout.column_labels[c], layout.label_scale, ink);
  for (std::size_t r = 0; r < layout.row_labels.size(); ++r)
    draw_text(sheet, layout.gap, layout.gap + head + static_cast<int>(r) * row_pitch,
              layout.row_labels[r], layout.label_scale, ink);
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const int row = static_cast<int>(i) / layout.columns;
    const int column = static_cast<int>(i) % layout.columns;
    const int left = layout.gap + column * column_pitch;
    const int top = layout.gap + head + row * row_pitch + above_row;
    for (int y = 0; y < cell_height; ++y)
      std::copy_n(cells[i].row(y), cells[i].stride(), sheet.row(top + y) + 3 * left);
  }
  return sheet;
}

}  // namespace sparsevid
