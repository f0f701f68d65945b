#include "ops/ref/choose_clusters.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "ops/ref/element.h"

namespace sparsevid::ops::ref {
namespace {

struct Entry {
  double priority;
  double weight;
  std::uint8_t* chosen;
};

/// Of a row, or of all rows; what has no weight is not among them.
class Entries {
 public:
  void add(const Entry& entry) {
    if (entry.weight > 0) entries_.push_back(entry);
  }
  void append(const Entries& others) {
    entries_.insert(entries_.end(), others.entries_.begin(), others.entries_.end());
  }
  void sort() {
    std::stable_sort(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) {
      return rank(a.priority) > rank(b.priority);
    });
  }
  void take(double budget, Crossing crossing) {
    double left = budget;
    for (const Entry& entry : entries_) {
      if (left < entry.weight) {
        const bool takes = left > 0 && (crossing == Crossing::keep || left >= entry.weight / 2);
        if (takes) *entry.chosen = 1;
        return;
      }
      *entry.chosen = 1;
      left -= entry.weight;
    }
  }
  void take_first(int number) {
    for (std::size_t i = 0; i < entries_.size() && static_cast<int>(i) < number; ++i)
      *entries_[i].chosen = 1;
  }

 private:
  static double rank(double priority) {
    return std::isnan(priority) ? std::numeric_limits<double>::infinity() : priority;
  }
  std::vector<Entry> entries_;
};

int size(const TensorView& offsets, std::int64_t head, std::int64_t c) {
  const auto* row = offsets[head].as<std::int32_t>();
  return row[c + 1] - row[c];
}

}  // namespace

void choose_clusters(const ChooseClustersParams& params, Context&) {
  const auto& [priority, mass, q_offsets, k_offsets, budget, crossing, at_least, shared, chosen] =
      params;
  Entries all;
  double queries = 0;
  for (std::int64_t head = 0; head < chosen.size(0); ++head) {
    for (std::int64_t i = 0; i < chosen.size(1); ++i) {
      auto* row = chosen[head][i].as<std::uint8_t>();
      const std::int64_t columns = i < priority.size(1) ? priority.size(2) : 0;
      std::fill(row, row + columns, std::uint8_t{0});
      std::fill(row + columns, row + chosen.size(2), std::uint8_t{1});
      const int of_row = size(q_offsets, head, i);
      if (columns == 0 || of_row == 0) continue;
      Entries entries;
      for (std::int64_t j = 0; j < columns; ++j) {
        const auto weight =
            static_cast<float>(mass.defined() ? load(mass[head], i, j) : size(k_offsets, head, j));
        entries.add({load(priority[head], i, j),
                     shared ? static_cast<float>(of_row) * weight : weight, row + j});
      }
      queries += of_row;
      all.append(entries);
      entries.sort();
      if (!shared) entries.take(budget, crossing);
      entries.take_first(at_least);
    }
  }
  if (!shared) return;
  all.sort();
  all.take(budget * queries, crossing);
}

}  // namespace sparsevid::ops::ref
