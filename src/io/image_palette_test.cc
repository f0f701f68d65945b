// The palette that GIF needs.
#include "io/image_palette.h"

#include <gtest/gtest.h>

#include <vector>

#include "io/video_test_clip.h"

namespace sparsevid {
namespace {

Image through_palette(const Image& image) {
  Palette palette;
  std::vector<std::uint8_t> indices(image.rgb.size() / 3);
  quantize_to_palette(image.rgb.data(), image.stride(), image.width, image.height, palette,
                      indices.data(), image.width);
  Image back(image.width, image.height);
  for (std::size_t i = 0; i < indices.size(); ++i)
    for (int c = 0; c < 3; ++c)
      back.rgb[3 * i + c] = static_cast<std::uint8_t>(palette[indices[i]] >> (16 - 8 * c));
  return back;
}

TEST(ImagePalette, APictureOfFewDistantColoursIsExact) {
  Image image = flat_image(32, 32, 250, 3, 90);
  for (int i = 0; i < 300; ++i) image.rgb[i] = static_cast<std::uint8_t>(i % 3 * 100 + 7);
  for (int i = 900; i < 1500; ++i) image.rgb[i] = 255;
  EXPECT_EQ(largest_difference(through_palette(image), image), 0);
}

TEST(ImagePalette, AGreyRampOf256LevelsKeepsItsLocalMean) {
  Image image(256, 32);
  for (int y = 0; y < 32; ++y)
    for (int x = 0; x < 256; ++x)
      for (int c = 0; c < 3; ++c) image.row(y)[3 * x + c] = static_cast<std::uint8_t>(x);
  const Image back = through_palette(image);
  for (int x = 8; x < 248; x += 8) {
    double wanted = 0, found = 0;
    for (int y = 0; y < 32; ++y)
      for (int i = 0; i < 8; ++i) {
        wanted += image.row(y)[3 * (x + i)];
        found += back.row(y)[3 * (x + i)];
      }
    // Diffusion passes errors on, so over 256 pixels they nearly cancel; at black and white the
    // range ends and with it the room for them.
    EXPECT_NEAR(found / 256, wanted / 256, 1) << "column " << x;
  }
}

TEST(ImagePalette, ASmoothPictureStaysAbove30Decibels) {
  const Image image = test_frame(160, 96, 5);
  EXPECT_GT(test_psnr(through_palette(image), image), 30);
}

}  // namespace
}  // namespace sparsevid
