// A moving picture made of arithmetic, for the tests of video files and metrics.
#pragma once

#include <algorithm>
#include <cmath>

#include "io/image_io.h"

namespace sparsevid {

/// Smooth in space and time, all hues, full contrast: a compressed copy of it is close.
inline Image test_frame(int width, int height, int index) {
  Image image(width, height);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < 3; ++c) {
        const double phase = 0.05 * x + 0.03 * (c + 1) * y + 0.2 * index + 2.1 * c;
        image.row(y)[3 * x + c] = static_cast<std::uint8_t>(127.5 + 120 * std::sin(phase));
      }
    }
  }
  return image;
}

inline Image flat_image(int width, int height, std::uint8_t r, std::uint8_t g, std::uint8_t b) {
  Image image(width, height);
  for (std::size_t i = 0; i < image.rgb.size(); i += 3) {
    image.rgb[i] = r;
    image.rgb[i + 1] = g;
    image.rgb[i + 2] = b;
  }
  return image;
}

/// The largest difference of any channel of any pixel, in 8-bit levels.
inline int largest_difference(const Image& a, const Image& b) {
  if (a.width != b.width || a.height != b.height) return 256;
  int largest = 0;
  for (std::size_t i = 0; i < a.rgb.size(); ++i)
    largest = std::max(largest, std::abs(a.rgb[i] - b.rgb[i]));
  return largest;
}

/// PSNR over all channels in dB; the metrics room has the real one, which may not be used here.
inline double test_psnr(const Image& a, const Image& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.rgb.size(); ++i) {
    const double difference = static_cast<double>(a.rgb[i]) - b.rgb[i];
    sum += difference * difference;
  }
  return 10 * std::log10(255.0 * 255.0 * static_cast<double>(a.rgb.size()) / sum);
}

}  // namespace sparsevid
