// Contact sheets and their labels.
#include "io/image_sheet.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "io/image_font.h"
#include "io/video_test_clip.h"
#include "testing/expect_error.h"

namespace sparsevid {
namespace {

std::vector<Image> grey_cells(int count) {
  std::vector<Image> cells;
  for (int i = 0; i < count; ++i) {
    const auto level = static_cast<std::uint8_t>(10 + i);
    cells.push_back(flat_image(20, 10, level, level, level));
  }
  return cells;
}

TEST(ImageSheet, PlacesCellsRowByRowWithGaps) {
  SheetLayout layout;
  layout.columns = 3;
  layout.gap = 4;
  const Image sheet = compose_sheet(grey_cells(5), layout);
  EXPECT_EQ(sheet.width, 4 + 3 * 24);
  EXPECT_EQ(sheet.height, 4 + 2 * 14);
  EXPECT_EQ(sheet.row(0)[0], 255);
  EXPECT_EQ(sheet.row(4)[3 * 4], 10);
  EXPECT_EQ(sheet.row(13)[3 * (4 + 24 + 19)], 11);
  EXPECT_EQ(sheet.row(14)[3 * 4], 255);
  EXPECT_EQ(sheet.row(18)[3 * (4 + 24)], 14);
  EXPECT_EQ(sheet.row(18)[3 * (4 + 48)], 255) << "the sixth place stays empty";
}

TEST(ImageSheet, LabelsTakeAStripOfTheirOwn) {
  SheetLayout layout;
  layout.columns = 2;
  layout.gap = 3;
  layout.label_scale = 1;
  layout.row_labels = {"dense", "semantic-tail 0.15"};
  layout.column_labels = {"frame 0", "frame 12"};
  const Image sheet = compose_sheet(grey_cells(4), layout);
  const int strip = kLineHeight + 3;
  EXPECT_EQ(sheet.height, 3 + strip + 2 * (strip + 10 + 3));
  EXPECT_EQ(sheet.row(3 + 2 * strip)[3 * 3], 10);
  // 'd' of "dense" and 'f' of "frame": ink in the strips, paper between them.
  const auto ink_in_row = [&](int y) {
    int ink = 0;
    for (int x = 0; x < sheet.width; ++x) ink += sheet.row(y)[3 * x] == 0;
    return ink;
  };
  EXPECT_GT(ink_in_row(3 + 3), 0);
  EXPECT_GT(ink_in_row(3 + strip + 3), 0);
  EXPECT_EQ(ink_in_row(3 + strip - 1), 0);
}

TEST(ImageSheet, RefusesWhatDoesNotFitTogether) {
  std::vector<Image> cells = grey_cells(2);
  error_of(ErrorKind::bad_input, [&] { compose_sheet({}, {}); });
  SheetLayout layout;
  layout.columns = 0;
  error_of(ErrorKind::bad_input, [&] { compose_sheet(cells, layout); });
  layout.columns = 2;
  layout.row_labels = {"one", "two"};
  error_of(ErrorKind::bad_input, [&] { compose_sheet(cells, layout); });
  layout.row_labels.clear();
  cells[1] = flat_image(20, 12, 0, 0, 0);
  EXPECT_THAT(error_of(ErrorKind::bad_input, [&] { compose_sheet(cells, layout); }),
              ::testing::HasSubstr("20 x 12"));
}

TEST(ImageFont, EveryPrintableCharacterHasAShapeOfItsOwn) {
  std::set<std::string> shapes;
  for (char letter = ' '; letter <= '~'; ++letter) {
    Image image(kGlyphWidth, kLineHeight);
    draw_text(image, 0, 0, std::string(1, letter), 1, 255);
    EXPECT_TRUE(shapes.insert(std::string(image.rgb.begin(), image.rgb.end())).second) << letter;
  }
}

TEST(ImageFont, ClipsAtTheEdgesAndReplacesOtherBytes) {
  Image image(10, 10);
  draw_text(image, -3, -3, "WWWW", 3, 255);
  draw_text(image, 8, 8, "狐", 2, 255);
  Image unknown(kGlyphWidth, kGlyphHeight), question(kGlyphWidth, kGlyphHeight);
  draw_text(unknown, 0, 0, "\xff", 1, 255);
  draw_text(question, 0, 0, "?", 1, 255);
  EXPECT_EQ(unknown.rgb, question.rgb);
}

TEST(ImageFont, ScaleRepeatsPixels) {
  Image small(6, 9), large(12, 18);
  draw_text(small, 0, 0, "y", 1, 200);
  draw_text(large, 0, 0, "y", 2, 200);
  for (int y = 0; y < 18; ++y)
    for (int x = 0; x < 12; ++x) EXPECT_EQ(large.row(y)[3 * x], small.row(y / 2)[3 * (x / 2)]);
  EXPECT_EQ(text_width("abc", 2), 36);
}

}  // namespace
}  // namespace sparsevid
