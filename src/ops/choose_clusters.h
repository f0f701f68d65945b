// Choosing the pairs of clusters to compute: the largest priorities until a budget is spent.
#pragma once

#include <cstdint>

#include "core/context.h"
#include "core/tensor.h"
#include "ops/implementation_list.h"

namespace sparsevid::ops {

/// What happens to the entry that crosses the budget.
enum class Crossing : std::uint8_t {
  keep,   ///< it is chosen: a mass is passed (top-p)
  round,  ///< it is chosen if at least half of it fits: a number of tokens is met
};

struct ChooseClustersParams {
  TensorView priority;   ///< [heads, rows, columns] f32, not negative; contiguous in each head
  TensorView mass;       ///< like priority: what an entry takes from the budget of a query;
                         ///< undefined: the tokens of its key cluster
  TensorView q_offsets;  ///< [heads, q_clusters + 1] i32, q_clusters >= rows
  TensorView k_offsets;  ///< [heads, k_clusters + 1] i32, k_clusters >= columns
  double budget = 0;     ///< of each query: mass, or key tokens
  Crossing crossing = Crossing::keep;
  int at_least = 0;     ///< entries of each row to choose whatever the budget
  bool shared = false;  ///< one budget, and so one threshold, for all rows and heads
  TensorView chosen;    ///< [heads, q_clusters, k_clusters] u8, contiguous, written: 0 or 1
};
/// In each row of non-empty q_clusters entries are taken in descending order of priority (equal
/// ones in order of index; what is not a number comes first, so that a broken estimate is computed
/// exactly instead of left out) until their weights reach the budget. Entries without weight are
/// never taken. Shared: the same over all rows of all heads at once, where an entry weighs as much
/// as all queries of its row make of it, f32(queries) * f32(mass or tokens), and the budget is that
/// of all queries in the rows; then each row with fewer entries than at_least is filled up by the
/// rule of a single row. Rows from `rows` and columns from `columns` on, the clusters of text, are
/// all 1; rows of empty query clusters are 0 before `columns`.
/// Sums are exact in f64 or in integers, so that all implementations choose the same unless a sum
/// comes within its rounding of the budget.

void choose_clusters(const ChooseClustersParams& params, Context& context);
const ImplementationList<ChooseClustersParams>& choose_clusters_implementations();

}  // namespace sparsevid::ops
