#include "ops/cpu/choose_clusters.h"

#include <algorithm>
#include <array>
#include <bit>
#include <span>
#include <vector>

#include "base/parallel.h"

namespace sparsevid::ops::cpu {
namespace {

int size(const TensorView& offsets, std::int64_t head, std::int64_t c) {
  const auto* row = offsets.as<std::int32_t>() + head * offsets.stride(0);
  return row[c + 1] - row[c];
}

/// The bits of a float that is not negative, which order as the floats do; NaN comes first.
std::uint32_t ordered_bits(float value) {
  return std::bit_cast<std::uint32_t>(value) & 0x7fffffffU;
}

bool takes_crossing(double left, float weight, Crossing crossing) {
  return left > 0 && (crossing == Crossing::keep || left >= weight / 2);
}

/// Sets chosen[i] to 1 for what is taken of one row.
void choose_in_row(std::span<const float> priority, std::span<const float> weight, double budget,
                   Crossing crossing, int at_least, std::span<std::uint8_t> chosen) {
  // The index breaks ties: the smaller one has the larger key.
  thread_local std::vector<std::uint64_t> keys;
  keys.clear();
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

/// The same choice among many entries without sorting them: finds the threshold by histograms of
/// the priorities' bits.
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

class Choice {
 public:
  Choice(const ChooseClustersParams& params, Context& context)
      : params_(params),
        context_(context),
        rows_(params.priority.size(1)),
        columns_(params.priority.size(2)),
        sizes_(context.arena.array<float>(params.priority.size(0) * columns_)) {
    for (std::int64_t head = 0; head < params.priority.size(0); ++head)
      for (std::int64_t j = 0; j < columns_; ++j)
        sizes_[head * columns_ + j] = static_cast<float>(size(params.k_offsets, head, j));
  }

  /// Everything that depends on no other row.
  void choose_rows() {
    const std::int64_t all_rows = params_.chosen.size(1);
    parallel_for(context_.threads, params_.chosen.size(0) * all_rows, 16,
                 [&](auto begin, auto end) {
                   for (auto item = begin; item < end; ++item) {
                     const std::int64_t head = item / all_rows;
                     const std::int64_t i = item % all_rows;
                     const std::int64_t columns = i < rows_ ? columns_ : 0;
                     std::uint8_t* kept = chosen(head, i);
                     std::fill(kept, kept + columns, std::uint8_t{0});
                     std::fill(kept + columns, kept + params_.chosen.size(2), std::uint8_t{1});
                     if (columns == 0 || size(params_.q_offsets, head, i) == 0) continue;
                     if (params_.shared && params_.at_least <= 0) continue;
                     choose_in_row(row(params_.priority, head, i), weights(head, i),
                                   params_.shared ? 0 : params_.budget, params_.crossing,
                                   params_.at_least, {kept, static_cast<std::size_t>(columns)});
                   }
                 });
  }

  void choose_shared() {
    const std::int64_t heads = params_.priority.size(0);
    const std::int64_t entries = heads * rows_ * columns_;
    auto* priority = context_.arena.array<float>(entries);
    auto* weight = context_.arena.array<float>(entries);
    auto* kept = context_.arena.array<std::uint8_t>(entries);
    double queries = 0;
    for (std::int64_t head = 0, n = 0; head < heads; ++head) {
      for (std::int64_t i = 0; i < rows_; ++i, n += columns_) {
        const int of_row = size(params_.q_offsets, head, i);
        queries += of_row;
        const auto weights_of_row = weights(head, i);
        std::copy_n(row(params_.priority, head, i).data(), columns_, priority + n);
        for (std::int64_t j = 0; j < columns_; ++j)
          weight[n + j] = static_cast<float>(of_row) * weights_of_row[static_cast<std::size_t>(j)];
      }
    }
    const auto count = static_cast<std::size_t>(entries);
    choose_by_threshold({priority, count}, {weight, count}, params_.budget * queries,
                        params_.crossing, {kept, count});
    for (std::int64_t head = 0, n = 0; head < heads; ++head)
      for (std::int64_t i = 0; i < rows_; ++i)
        for (std::int64_t j = 0; j < columns_; ++j, ++n) chosen(head, i)[j] |= kept[n];
  }

 private:
  std::uint8_t* chosen(std::int64_t head, std::int64_t i) const {
    return params_.chosen[head].as<std::uint8_t>() + i * params_.chosen.size(2);
  }
  std::span<const float> row(const TensorView& view, std::int64_t head, std::int64_t i) const {
    return {view[head].as<float>() + i * columns_, static_cast<std::size_t>(columns_)};
  }
  std::span<const float> weights(std::int64_t head, std::int64_t i) const {
    if (params_.mass.defined()) return row(params_.mass, head, i);
    return {sizes_ + head * columns_, static_cast<std::size_t>(columns_)};
  }

  const ChooseClustersParams& params_;
  Context& context_;
  std::int64_t rows_;
  std::int64_t columns_;
  float* sizes_;  // [heads, columns]: tokens of the key clusters
};

}  // namespace

void choose_clusters(const ChooseClustersParams& params, Context& context) {
  const Arena::Scope scope(context.arena);
  Choice choice(params, context);
  choice.choose_rows();
  if (params.shared) choice.choose_shared();
}

}  // namespace sparsevid::ops::cpu
