// The cases that test and time ops/linear_combination.h.
#pragma once

#include <string_view>
#include <vector>

#include "ops/agreement.h"
#include "ops/linear_combination.h"

namespace sparsevid::ops {

struct LinearCombinationCase {
  std::string_view name;
  std::int64_t count;
  int terms;
  int in_place = -1;  ///< the term whose x is out
};

inline std::vector<LinearCombinationCase> linear_combination_cases() {
  return {
      {"NoTerm", 5, 0},
      {"OneTerm", 1031, 1},
      {"FiveTerms", 1031, 5},
      {"FirstInPlace", 1031, 3, 0},
      {"LastInPlace", 1031, 3, 2},
      {"OnlyItself", 77, 1, 0},
      {"OneElement", 1, 2},
      {"Many", 200003, 3, 1},
  };
}

struct LinearCombinationInputs {
  Tensor out;
  std::vector<Tensor> x;
  LinearCombinationParams params;

  explicit LinearCombinationInputs(const LinearCombinationCase& c)
      : out(random_tensor({c.count}, 99)) {
    for (int i = 0; i < c.terms; ++i) {
      x.push_back(random_tensor({c.count}, static_cast<std::uint64_t>(i)));
      params.terms.push_back({i == c.in_place ? out.view() : x.back().view(), 0.7 - 0.4 * i});
    }
    params.out = out;
  }
};

}  // namespace sparsevid::ops
