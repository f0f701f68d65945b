// The choices that the test runs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ops/choose_clusters.h"

namespace sparsevid::ops {

struct ChooseClustersCase {
  std::string name;
  std::int64_t heads;
  std::int64_t rows;
  std::int64_t columns;
  std::int64_t text;  ///< clusters behind those, of queries and of keys
  double budget;      ///< as a share of what all entries of a row weigh
  Crossing crossing;
  int at_least;
  bool by_mass;
  bool shared;
  double
      steps;  ///< priorities are rounded to this many steps a factor of e, so that some are equal
};

inline std::vector<ChooseClustersCase> choose_clusters_test_cases() {
  std::vector<ChooseClustersCase> cases;
  for (const bool shared : {false, true})
    for (const bool by_mass : {false, true})
      for (const double budget : {0.0, .001, .08, .15, .5, .9, .999, 1.0, 2.0})
        for (const int at_least : {0, 1, 3}) {
          const std::string name = std::string(shared ? "shared" : "rows") +
                                   (by_mass ? "_mass" : "_tokens") + "_" + std::to_string(budget) +
                                   "_" + std::to_string(at_least);
          cases.push_back({name, 2, 9, 37, at_least % 2, budget,
                           by_mass ? Crossing::keep : Crossing::round, at_least, by_mass, shared,
                           at_least == 0 ? 2.0 : 1000.0});
        }
  for (const bool shared : {false, true}) {
    const std::string kind = shared ? "shared" : "rows";
    cases.push_back({kind + "_one", 1, 1, 1, 0, .4, Crossing::round, 1, false, shared, 100});
    cases.push_back({kind + "_many", 3, 20, 1500, 1, .2, Crossing::round, 1, false, shared, 100});
    cases.push_back({kind + "_equal", 2, 12, 300, 0, .3, Crossing::keep, 0, false, shared, 0});
    cases.push_back({kind + "_mass_many", 2, 11, 1024, 1, .7, Crossing::keep, 5, true, shared, 3});
  }
  return cases;
}

}  // namespace sparsevid::ops
