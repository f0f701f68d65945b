// A linear layer: weight, optional bias.
#pragma once

#include <string>

#include "nn/weight_table.h"
#include "ops/linear.h"

namespace sparsevid::nn {

struct Linear {
  TensorView weight;  ///< [out, in] in the compute type (f32 when declared so)
  TensorView bias;    ///< [out] f32; may be undefined

  /// Declares <prefix>.weight and, if `with_bias`, <prefix>.bias.
  void declare(WeightTable& table, const std::string& prefix, std::int64_t in, std::int64_t out,
               bool with_bias = true, Precision precision = Precision::compute) {
    table.add(prefix + ".weight", {out, in}, weight, precision);
    if (with_bias) table.add(prefix + ".bias", {out}, bias, Precision::f32);
  }

  /// out = activation(x weight^T + bias); x is [rows, in] of the weight's type.
  void apply(const TensorView& x, const TensorView& out, Context& context,
             ops::Activation activation = ops::Activation::none) const {
    const Zone zone(context.profile, "linear");
    ops::linear({x, weight, bias, out, activation}, context);
  }
};

}  // namespace sparsevid::nn
