// Palette by cuts of the colour histogram, pixels by error diffusion.
#include "io/image_palette.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

namespace sparsevid {

namespace {

using Colour = std::array<float, 3>;

// The colour cube in 64 cells a side.
constexpr int kCellBits = 6;
constexpr std::size_t kCells = std::size_t{1} << (3 * kCellBits);

int cell_of(int red, int green, int blue) {
  constexpr int kShift = 8 - kCellBits;
  return ((red >> kShift) << (2 * kCellBits)) | ((green >> kShift) << kCellBits) | (blue >> kShift);
}

struct Cell {
  double count = 0;
  std::array<double, 3> sum{};
  std::array<double, 3> sum_of_squares{};

  double mean(int channel) const { return sum[channel] / count; }
  double squared_error(int channel) const {
    return sum_of_squares[channel] - sum[channel] * mean(channel);
  }
};

// Cells that share one palette colour; `total` is their sum.
struct Box {
  std::span<Cell> cells;
  Cell total;
  int axis = 0;  // the channel with the largest error
  double error = 0;
};

Box make_box(std::span<Cell> cells) {
  Box box{cells, {}, 0, 0};
  for (const Cell& cell : cells) {
    box.total.count += cell.count;
    for (int c = 0; c < 3; ++c) {
      box.total.sum[c] += cell.sum[c];
      box.total.sum_of_squares[c] += cell.sum_of_squares[c];
    }
  }
  for (int c = 1; c < 3; ++c)
    if (box.total.squared_error(c) > box.total.squared_error(box.axis)) box.axis = c;
  if (cells.size() > 1) box.error = box.total.squared_error(box.axis);
  return box;
}

std::vector<Cell> histogram(const std::uint8_t* rgb, std::ptrdiff_t stride, int width, int height) {
  std::vector<Cell> cells(kCells);
  for (int y = 0; y < height; ++y) {
    const std::uint8_t* pixel = rgb + y * stride;
    for (int x = 0; x < width; ++x, pixel += 3) {
      Cell& cell = cells[cell_of(pixel[0], pixel[1], pixel[2])];
      cell.count += 1;
      for (int c = 0; c < 3; ++c) {
        cell.sum[c] += pixel[c];
        cell.sum_of_squares[c] += static_cast<double>(pixel[c]) * pixel[c];
      }
    }
  }
  std::erase_if(cells, [](const Cell& cell) { return cell.count == 0; });
  return cells;
}

std::vector<Colour> choose_colours(std::vector<Cell> cells, std::size_t count) {
  std::vector<Box> boxes{make_box(cells)};
  boxes.reserve(count);
  while (boxes.size() < count) {
    auto worst = std::max_element(boxes.begin(), boxes.end(),
                                  [](const Box& a, const Box& b) { return a.error < b.error; });
    const int axis = worst->axis;
    const double mean = worst->total.mean(axis);
    const std::span<Cell> all = worst->cells;
    const auto middle = std::partition(all.begin(), all.end(),
                                       [&](const Cell& cell) { return cell.mean(axis) <= mean; });
    const auto low = static_cast<std::size_t>(middle - all.begin());
    if (worst->error <= 0 || low == 0 || low == all.size()) break;
    *worst = make_box(all.first(low));
    boxes.push_back(make_box(all.subspan(low)));
  }
  std::vector<Colour> colours;
  colours.reserve(boxes.size());
  for (const Box& box : boxes)
    colours.push_back({static_cast<float>(box.total.mean(0)), static_cast<float>(box.total.mean(1)),
                       static_cast<float>(box.total.mean(2))});
  return colours;
}

int nearest_colour(const std::vector<Colour>& colours, const Colour& wanted) {
  int best = 0;
  float best_distance = 1e30f;
  for (std::size_t i = 0; i < colours.size(); ++i) {
    float distance = 0;
    for (int c = 0; c < 3; ++c)
      distance += (colours[i][c] - wanted[c]) * (colours[i][c] - wanted[c]);
    if (distance < best_distance) {
      best = static_cast<int>(i);
      best_distance = distance;
    }
  }
  return best;
}

}  // namespace

void quantize_to_palette(const std::uint8_t* rgb, std::ptrdiff_t stride, int width, int height,
                         Palette& palette, std::uint8_t* indices, std::ptrdiff_t index_stride) {
  std::vector<Colour> colours =
      choose_colours(histogram(rgb, stride, width, height), palette.size());
  palette.fill(0xff000000u);
  for (std::size_t i = 0; i < colours.size(); ++i) {
    std::uint32_t packed = 0xff;
    for (float& channel : colours[i]) {
      channel = std::round(channel);
      packed = (packed << 8) | static_cast<std::uint32_t>(channel);
    }
    palette[i] = packed;
  }

  std::vector<std::int16_t> nearest(kCells, -1);
  // One pixel of margin on both sides of each row.
  std::vector<Colour> error(width + 2), next_error(width + 2);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const std::uint8_t* pixel = rgb + y * stride + 3 * x;
      Colour wanted;
      for (int c = 0; c < 3; ++c)
        wanted[c] = std::clamp(static_cast<float>(pixel[c]) + error[x + 1][c], 0.0f, 255.0f);
      std::int16_t& index = nearest[cell_of(
          static_cast<int>(wanted[0]), static_cast<int>(wanted[1]), static_cast<int>(wanted[2]))];
      if (index < 0) index = static_cast<std::int16_t>(nearest_colour(colours, wanted));
      indices[y * index_stride + x] = static_cast<std::uint8_t>(index);
      for (int c = 0; c < 3; ++c) {
        const float missed = wanted[c] - colours[index][c];
        error[x + 2][c] += missed * (7.0f / 16);
        next_error[x][c] += missed * (3.0f / 16);
        next_error[x + 1][c] += missed * (5.0f / 16);
        next_error[x + 2][c] += missed * (1.0f / 16);
      }
    }
    error.swap(next_error);
    std::fill(next_error.begin(), next_error.end(), Colour{});
  }
}

}  // namespace sparsevid
