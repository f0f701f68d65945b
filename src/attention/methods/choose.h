// Choosing the entries of largest priority until a budget of weight is spent.
#pragma once

#include <cstdint>
#include <span>

namespace sparsevid {

/// What happens to the entry that crosses the budget.
enum class Crossing : std::uint8_t {
  keep,   ///< it is chosen: a mass is passed (top-p)
  round,  ///< it is chosen if at least half of it fits: a number of tokens is met
};

/// Sets chosen[i] to 1 for the entries of largest priority, in descending order (equal ones in
/// order of index), until their weights reach the budget and there are `at_least` of them; to 0 for
/// all others. Entries without weight are never chosen. Priorities are not negative. For one row.
void choose_in_row(std::span<const float> priority, std::span<const float> weight, double budget,
                   Crossing crossing, int at_least, std::span<std::uint8_t> chosen);

/// The same choice (at_least 0) for many entries without sorting them: finds the threshold by
/// histograms of the priorities' bits.
void choose_by_threshold(std::span<const float> priority, std::span<const float> weight,
                         double budget, Crossing crossing, std::span<std::uint8_t> chosen);

}  // namespace sparsevid
