#include "attention/methods/choose.h"

#include <algorithm>
#include <array>
#include <bit>
#include <vector>

namespace sparsevid {
namespace {

/// The bits of a float that is not negative, which order as the floats do. NaN comes first, so that
/// a broken estimate is computed exactly instead of left out.
std::uint32_t ordered_bits(float value) {
  return std::bit_cast<std::uint32_t>(value) & 0x7fffffffU;
}

bool takes_crossing(double left, float weight, Crossing crossing) {
  return left > 0 && (crossing == Crossing::keep || left >= weight / 2);
}

/// The highest part of a key at which the weight of all larger keys still fits the budget.
struct Bin {
  std::uint32_t index;
  double weight_above;
};

template <std::size_t kBins>
Bin crossing_bin(const std::array<double, kBins>& histogram, double budget) {
  double above = 0;
  for (std::size_t b = kBins; b-- > 1;) {
    if (above + histogram[b] >= budget) return {static_cast<std::uint32_t>(b), above};
    above += histogram[b];
  }
  return {0, above};
}

}  // namespace

void choose_in_row(std::span<const float> priority, std::span<const float> weight, double budget,
                   Crossing crossing, int at_least, std::span<std::uint8_t> chosen) {
  // The index breaks ties: the smaller one has the larger key.
  thread_local std::vector<std::uint64_t> keys;
  keys.clear();
  std::fill(chosen.begin(), chosen.end(), std::uint8_t{0});
  for (std::size_t i = 0; i < priority.size(); ++i) {
    if (weight[i] > 0)
      keys.push_back(std::uint64_t{ordered_bits(priority[i])} << 32 | (0xffffffffU - i));
  }
  // A heap instead of a sort: most entries are never reached.
  std::make_heap(keys.begin(), keys.end());
  double left = budget;
  for (; !keys.empty(); keys.pop_back()) {
    std::pop_heap(keys.begin(), keys.end());
    const std::size_t i = 0xffffffffU - (keys.back() & 0xffffffffU);
    const bool fits = left >= weight[i] || takes_crossing(left, weight[i], crossing);
    if (!fits && at_least <= 0) return;
    chosen[i] = 1;
    left = left >= weight[i] ? left - weight[i] : 0;
    --at_least;
  }
}

void choose_by_threshold(std::span<const float> priority, std::span<const float> weight,
                         double budget, Crossing crossing, std::span<std::uint8_t> chosen) {
  // Three passes over the 31 bits of a key, 11 + 10 + 10, each inside the bin of the one before.
  std::array<double, 2048> histogram{};
  for (std::size_t i = 0; i < priority.size(); ++i)
    histogram[ordered_bits(priority[i]) >> 20] += weight[i];
  const Bin first = crossing_bin(histogram, budget);

  std::array<double, 1024> finer{};
  for (std::size_t i = 0; i < priority.size(); ++i) {
    const std::uint32_t bits = ordered_bits(priority[i]);
    if (bits >> 20 == first.index) finer[bits >> 10 & 0x3ff] += weight[i];
  }
  const Bin second = crossing_bin(finer, budget - first.weight_above);

  const std::uint32_t prefix = first.index << 10 | second.index;
  std::array<double, 1024> finest{};
  for (std::size_t i = 0; i < priority.size(); ++i) {
    const std::uint32_t bits = ordered_bits(priority[i]);
    if (bits >> 10 == prefix) finest[bits & 0x3ff] += weight[i];
  }
  const Bin third = crossing_bin(finest, budget - first.weight_above - second.weight_above);

  const std::uint32_t threshold = prefix << 10 | third.index;
  double left = budget - first.weight_above - second.weight_above - third.weight_above;
  for (std::size_t i = 0; i < priority.size(); ++i) {
    const std::uint32_t bits = ordered_bits(priority[i]);
    chosen[i] = weight[i] > 0 && bits > threshold;
    if (weight[i] <= 0 || bits != threshold || left <= 0) continue;
    if (left < weight[i]) {
      chosen[i] = takes_crossing(left, weight[i], crossing);
      left = 0;
      continue;
    }
    chosen[i] = 1;
    left -= weight[i];
  }
}

}  // namespace sparsevid
