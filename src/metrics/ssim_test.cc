// SSIM against its definition in double precision.
#include "metrics/ssim.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "io/video_test_clip.h"
#include "testing/expect_error.h"

namespace sparsevid {
namespace {

double luma(const Image& image, int y, int x) {
  const std::uint8_t* pixel = image.row(y) + 3 * x;
  return 0.299 * pixel[0] + 0.587 * pixel[1] + 0.114 * pixel[2];
}

// The two-dimensional window around each position, centred moments.
double plain_ssim(const Image& a, const Image& b) {
  double window[11][11];
  double sum = 0;
  for (int i = 0; i < 11; ++i)
    for (int j = 0; j < 11; ++j)
      sum += window[i][j] = std::exp(-((i - 5) * (i - 5) + (j - 5) * (j - 5)) / (2 * 1.5 * 1.5));
  const double c1 = std::pow(0.01 * 255, 2), c2 = std::pow(0.03 * 255, 2);
  double total = 0;
  for (int y = 0; y + 11 <= a.height; ++y) {
    for (int x = 0; x + 11 <= a.width; ++x) {
      double mean_a = 0, mean_b = 0, variance_a = 0, variance_b = 0, covariance = 0;
      for (int i = 0; i < 11; ++i)
        for (int j = 0; j < 11; ++j) {
          mean_a += window[i][j] / sum * luma(a, y + i, x + j);
          mean_b += window[i][j] / sum * luma(b, y + i, x + j);
        }
      for (int i = 0; i < 11; ++i)
        for (int j = 0; j < 11; ++j) {
          const double from_a = luma(a, y + i, x + j) - mean_a;
          const double from_b = luma(b, y + i, x + j) - mean_b;
          variance_a += window[i][j] / sum * from_a * from_a;
          variance_b += window[i][j] / sum * from_b * from_b;
          covariance += window[i][j] / sum * from_a * from_b;
        }
      total += (2 * mean_a * mean_b + c1) * (2 * covariance + c2) /
               ((mean_a * mean_a + mean_b * mean_b + c1) * (variance_a + variance_b + c2));
    }
  }
  return total / (a.height - 10) / (a.width - 10);
}

Image with_noise(Image image, int amplitude, unsigned seed) {
  std::minstd_rand random(seed);
  std::uniform_int_distribution<int> noise(-amplitude, amplitude);
  for (std::uint8_t& value : image.rgb)
    value = static_cast<std::uint8_t>(std::clamp(value + noise(random), 0, 255));
  return image;
}

TEST(Ssim, MatchesTheDefinitionOnManyPictures) {
  struct Case {
    Image a, b;
  };
  const Image smooth = test_frame(61, 37, 0);
  const Image bright = flat_image(30, 20, 255, 255, 255);
  const Case cases[] = {
      {smooth, test_frame(61, 37, 1)},
      {smooth, with_noise(smooth, 3, 1)},
      {smooth, with_noise(smooth, 90, 2)},
      {with_noise(smooth, 255, 3), with_noise(smooth, 255, 4)},
      {bright, flat_image(30, 20, 0, 0, 0)},
      {bright, with_noise(bright, 1, 5)},
      {test_frame(11, 11, 0), test_frame(11, 11, 2)},
      {test_frame(200, 12, 0), test_frame(200, 12, 3)},
  };
  for (const auto& [a, b] : cases) {
    // fp32 sums of squares up to 128^2 carry 16384 * 2^-24 * 11 (terms a pass) * 2 (passes) / sqrt
    // of their random signs, about 5e-3 against c2 = 58: 1e-4 for one position at worst, far less
    // in the mean.
    EXPECT_NEAR(ssim(a, b), plain_ssim(a, b), 2e-5) << a.width << " x " << a.height;
  }
}

TEST(Ssim, OfAPictureWithItselfIsOne) {
  const Image image = with_noise(test_frame(64, 48, 0), 60, 9);
  EXPECT_NEAR(ssim(image, image), 1, 1e-6);
}

TEST(Ssim, IsSymmetricAndTheSameOnManyThreads) {
  const Image a = test_frame(90, 120, 0);
  const Image b = with_noise(a, 20, 1);
  EXPECT_EQ(ssim(a, b, 1), ssim(a, b, 4));
  EXPECT_NEAR(ssim(a, b), ssim(b, a), 1e-6);
}

TEST(Ssim, RefusesSmallPicturesAndDifferentSizes) {
  error_of(ErrorKind::bad_input,
           [] { ssim(flat_image(10, 20, 0, 0, 0), flat_image(10, 20, 0, 0, 0)); });
  error_of(ErrorKind::bad_input,
           [] { ssim(flat_image(20, 20, 0, 0, 0), flat_image(20, 22, 0, 0, 0)); });
}

}  // namespace
}  // namespace sparsevid
