#include "attention/dense_policy.h"

#include <cmath>

namespace sparsevid {
namespace {

// A share such as .07 of 100 is 7.000000000000001 in binary and must not become 8.
int share_of(double share, int count) { return static_cast<int>(std::ceil(share * count - 1e-9)); }

}  // namespace

DensePolicy::DensePolicy(double step_share, int steps, double layer_share, int layers)
    : dense_steps_(share_of(step_share, steps)), dense_layers_(share_of(layer_share, layers)) {}

}  // namespace sparsevid
