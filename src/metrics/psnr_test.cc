// PSNR against values worked out by hand.
#include "metrics/psnr.h"

#include <gtest/gtest.h>

#include <cmath>

#include "io/video_test_clip.h"
#include "testing/expect_error.h"

namespace sparsevid {
namespace {

TEST(Psnr, OfIdenticalPicturesIsInfinite) {
  const Image image = test_frame(40, 30, 0);
  EXPECT_EQ(mean_squared_error(image, image), 0);
  EXPECT_TRUE(std::isinf(psnr_of_mse(0)));
}

TEST(Psnr, MatchesTheFormula) {
  EXPECT_EQ(mean_squared_error(flat_image(7, 5, 0, 0, 0), flat_image(7, 5, 3, 0, 0)), 3);
  EXPECT_DOUBLE_EQ(psnr_of_mse(255.0 * 255.0), 0);
  EXPECT_NEAR(psnr_of_mse(1), 48.1308, 1e-4);
}

TEST(Psnr, TheLargestErrorOfALargePictureDoesNotOverflow) {
  EXPECT_EQ(
      mean_squared_error(flat_image(1280, 720, 0, 0, 0), flat_image(1280, 720, 255, 255, 255)),
      255 * 255);
}

TEST(Psnr, RefusesDifferentSizes) {
  error_of(ErrorKind::bad_input,
           [] { mean_squared_error(flat_image(4, 6, 0, 0, 0), flat_image(6, 4, 0, 0, 0)); });
}

}  // namespace
}  // namespace sparsevid
