// SSIM by a separable window: each output row filters its eleven input rows down, then across.
#include "metrics/ssim.h"

#include <array>
#include <cmath>
#include <numeric>
#include <vector>

#include "base/error.h"
#include "base/parallel.h"

namespace sparsevid {

namespace {

constexpr int kWindow = 11;
constexpr double kSigma = 1.5;
constexpr float kC1 = 0.01f * 255 * 0.01f * 255;
constexpr float kC2 = 0.03f * 255 * 0.03f * 255;
// Luma is kept relative to mid-grey: smaller squares lose less in fp32 when means are subtracted.
constexpr float kMidGrey = 128;

std::array<float, kWindow> gaussian_window() {
  std::array<double, kWindow> weights{};
  for (int i = 0; i < kWindow; ++i) {
    const int distance = i - kWindow / 2;
    weights[i] = std::exp(-distance * distance / (2 * kSigma * kSigma));
  }
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  std::array<float, kWindow> window{};
  for (int i = 0; i < kWindow; ++i) window[i] = static_cast<float>(weights[i] / sum);
  return window;
}

std::vector<float> centred_luma(const Image& image) {
  std::vector<float> luma(image.rgb.size() / 3);
  for (std::size_t i = 0; i < luma.size(); ++i) {
    const std::uint8_t* pixel = image.rgb.data() + 3 * i;
    luma[i] = 0.299f * pixel[0] + 0.587f * pixel[1] + 0.114f * pixel[2] - kMidGrey;
  }
  return luma;
}

// Five rows of windowed sums: a, b, a a, b b, a b.
struct RowSums {
  std::vector<float> a, b, aa, bb, ab;
  explicit RowSums(int width) : a(width), b(width), aa(width), bb(width), ab(width) {}
};

void filter_down(const float* a, const float* b, int width,
                 const std::array<float, kWindow>& window, RowSums& sums) {
  for (std::vector<float>* row : {&sums.a, &sums.b, &sums.aa, &sums.bb, &sums.ab})
    std::fill(row->begin(), row->end(), 0.0f);
  for (int k = 0; k < kWindow; ++k, a += width, b += width) {
    const float weight = window[k];
    for (int x = 0; x < width; ++x) {
      const float weighted_a = weight * a[x];
      const float weighted_b = weight * b[x];
      sums.a[x] += weighted_a;
      sums.b[x] += weighted_b;
      sums.aa[x] += weighted_a * a[x];
      sums.bb[x] += weighted_b * b[x];
      sums.ab[x] += weighted_a * b[x];
    }
  }
}

void filter_across(const std::vector<float>& row, const std::array<float, kWindow>& window,
                   std::vector<float>& out) {
  std::fill(out.begin(), out.end(), 0.0f);
  for (int k = 0; k < kWindow; ++k)
    for (std::size_t x = 0; x < out.size(); ++x) out[x] += window[k] * row[x + k];
}

double sum_of_ssim(const RowSums& sums, std::size_t count) {
  double total = 0;
  for (std::size_t x = 0; x < count; ++x) {
    const float variance_a = sums.aa[x] - sums.a[x] * sums.a[x];
    const float variance_b = sums.bb[x] - sums.b[x] * sums.b[x];
    const float covariance = sums.ab[x] - sums.a[x] * sums.b[x];
    const float mean_a = sums.a[x] + kMidGrey;
    const float mean_b = sums.b[x] + kMidGrey;
    const float luminance = (2 * mean_a * mean_b + kC1) / (mean_a * mean_a + mean_b * mean_b + kC1);
    total += luminance * (2 * covariance + kC2) / (variance_a + variance_b + kC2);
  }
  return total;
}

}  // namespace

double ssim(const Image& a, const Image& b, int threads) {
  require(a.width == b.width && a.height == b.height, ErrorKind::bad_input,
          "expected two pictures of one size, found {} x {} and {} x {}", a.width, a.height,
          b.width, b.height);
  require(a.width >= kWindow && a.height >= kWindow, ErrorKind::bad_input,
          "SSIM needs pictures of at least {} x {} pixels, found {} x {}", kWindow, kWindow,
          a.width, a.height);
  const std::array<float, kWindow> window = gaussian_window();
  const std::vector<float> luma_a = centred_luma(a);
  const std::vector<float> luma_b = centred_luma(b);
  const int rows = a.height - kWindow + 1;
  const int columns = a.width - kWindow + 1;
  std::vector<double> row_totals(rows);
  parallel_for(threads, rows, 16, [&](std::int64_t begin, std::int64_t end) {
    RowSums down(a.width);
    RowSums across(columns);
    for (std::int64_t y = begin; y < end; ++y) {
      filter_down(&luma_a[y * a.width], &luma_b[y * a.width], a.width, window, down);
      filter_across(down.a, window, across.a);
      filter_across(down.b, window, across.b);
      filter_across(down.aa, window, across.aa);
      filter_across(down.bb, window, across.bb);
      filter_across(down.ab, window, across.ab);
      row_totals[y] = sum_of_ssim(across, columns);
    }
  });
  return std::accumulate(row_totals.begin(), row_totals.end(), 0.0) / rows / columns;
}

}  // namespace sparsevid
