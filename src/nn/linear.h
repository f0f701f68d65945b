// A linear layer: weight, optional bias.
#pragma once

#include <string>

#include "nn/weight_table.h"
#include "ops/linear.h"
#include "ops/linear_fp8.h"
#include "ops/quantize_rows.h"

namespace sparsevid::nn {

/// Rows that one or several linear layers read: as they are, and in fp8 for layers kept in that.
struct LinearInput {
  TensorView x;      ///< [rows, in] of the compute type
  TensorView fp8;    ///< [rows, in] u8, e4m3; undefined unless quantised
  TensorView scale;  ///< [rows] f32; undefined unless quantised
};

struct Linear {
  TensorView weight;        ///< [out, in] in the compute type, f32 when declared so, or e4m3
  TensorView weight_scale;  ///< [out] f32 for a weight in e4m3; else undefined
  TensorView bias;          ///< [out] f32; may be undefined

  /// Declares <prefix>.weight and, if `with_bias`, <prefix>.bias.
  void declare(WeightTable& table, const std::string& prefix, std::int64_t in, std::int64_t out,
               bool with_bias = true, Precision precision = Precision::compute) {
    if (precision == Precision::large) {
      table.add_large(prefix + ".weight", {out, in}, weight, weight_scale);
    } else {
      table.add(prefix + ".weight", {out, in}, weight, precision);
    }
    if (with_bias) table.add(prefix + ".bias", {out}, bias, Precision::f32);
  }

  /// Scratch for the rows in fp8 if this layer wants them so, valid until the caller's Scope ends:
  /// one input serves all layers that read the same rows.
  LinearInput prepare(const TensorView& x, Context& context) const {
    if (!weight_scale.defined()) return {x, {}, {}};
    const Zone zone(context.profile, "linear");
    const LinearInput input = {x, context.arena.tensor(DType::u8, x.shape()),
                               context.arena.tensor(DType::f32, {x.size(0)})};
    ops::quantize_rows({.x = x, .out = input.fp8, .scale = input.scale}, context);
    return input;
  }

  /// out = activation(x weight^T + bias); x is [rows, in] of the weight's type.
  void apply(const LinearInput& input, const TensorView& out, Context& context,
             ops::Activation activation = ops::Activation::none) const {
    const Zone zone(context.profile, "linear");
    if (weight_scale.defined()) {
      ops::linear_fp8({input.fp8, input.scale, weight, weight_scale, bias, out, activation},
                      context);
    } else {
      ops::linear({input.x, weight, bias, out, activation}, context);
    }
  }
  void apply(const TensorView& x, const TensorView& out, Context& context,
             ops::Activation activation = ops::Activation::none) const {
    const Arena::Scope scope(context.arena);
    apply(prepare(x, context), out, context, activation);
  }
};

}  // namespace sparsevid::nn
