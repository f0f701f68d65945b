#include <algorithm>
#include <filesystem>

#include "api/guard.h"
#include "base/error.h"
#include "io/atomic_file.h"
#include "io/image_sheet.h"
#include "io/video_reader.h"
#include "sparsevid/quality.h"

namespace sparsevid {
namespace {

/// `columns` frames of a clip from the first to the last, and their numbers.
std::vector<Image> evenly_spaced(const std::string& clip, int columns, std::vector<int>& numbers) {
  VideoReader reader(clip);
  const std::int64_t count = reader.frame_count();
  const int shown = static_cast<int>(std::min<std::int64_t>(columns, count));
  numbers.clear();
  for (int i = 0; i < shown; ++i)
    numbers.push_back(shown == 1 ? 0 : static_cast<int>(i * (count - 1) / (shown - 1)));
  std::vector<Image> frames;
  Image frame;
  for (int number = 0; reader.next(frame); ++number)
    if (std::find(numbers.begin(), numbers.end(), number) != numbers.end()) frames.push_back(frame);
  return frames;
}

/// A sheet in the place of a clip, or among its frames, would end the clip.
void check_sheet_path(const std::filesystem::path& png, const std::vector<std::string>& clips) {
  require(png.extension() == ".png", ErrorKind::bad_input,
          "sheet: expected a name that ends in .png, found {}", png.string());
  check_output_path(png);
  const auto folder = png.has_parent_path() ? png.parent_path() : ".";
  for (const auto& clip : clips) {
    std::error_code unknown;
    require(!std::filesystem::equivalent(clip, png, unknown) &&
                !std::filesystem::equivalent(clip, folder, unknown),
            ErrorKind::bad_input, "sheet: expected a file that is no part of {}, found {}", clip,
            png.string());
  }
}

std::string label_of(const std::string& clip) {
  const Metadata metadata = read_video_metadata(clip);
  const auto attention = metadata.find("attention");
  if (attention == metadata.end()) return std::filesystem::path(clip).filename().string();
  const auto density = metadata.find("attention.density");
  return attention->second + (density == metadata.end() ? "" : " density " + density->second);
}

}  // namespace

void write_sheet(const std::vector<std::string>& clips, int columns, const std::string& png) {
  guarded([&] {
    require(!clips.empty() && columns >= 1, ErrorKind::bad_input,
            "sheet: expected clips and at least one column, found {} and {}", clips.size(),
            columns);
    check_sheet_path(png, clips);
    std::vector<Image> cells;
    std::vector<int> numbers;
    SheetLayout layout;
    for (const auto& clip : clips) {
      for (auto& frame : evenly_spaced(clip, columns, numbers)) cells.push_back(std::move(frame));
      layout.row_labels.push_back(label_of(clip));
    }
    layout.columns = static_cast<int>(numbers.size());
    for (const int number : numbers)
      layout.column_labels.push_back("frame " + std::to_string(number));
    write_png(png, compose_sheet(cells, layout));
  });
}

}  // namespace sparsevid
