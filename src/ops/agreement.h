// For tests: every implementation of an op against its reference.
#pragma once

#include <gtest/gtest.h>

#include "ops/copy.h"
#include "ops/implementation_list.h"
#include "testing/compare.h"
#include "testing/random_tensor.h"

namespace sparsevid::ops {

/// Largest relative L2 distance of two implementations. In f32 each element carries a few roundings
/// of 2^-24 (sums of thousands of terms grow like the square root of their number), so 2e-6. In
/// bf16 both sides round the same value once; they differ, by 2^-8, only where the f32 values lie
/// on both sides of a tie, fewer than one in a hundred, so sqrt(1/100) 2^-8 / 2 at the most.
inline double agreement(DType dtype) { return dtype == DType::bf16 ? 4e-4 : 2e-6; }

/// A matrix whose rows lie `gap` elements apart; the gaps hold kGapValue.
struct GappedRows {
  static constexpr double kGapValue = 7;
  Tensor memory;
  TensorView view;

  GappedRows() = default;
  GappedRows(std::int64_t rows, std::int64_t columns, std::int64_t gap, DType dtype,
             std::uint64_t seed, const RandomOptions& options = {})
      : memory(constant_tensor({rows, columns + gap}, kGapValue, dtype)),
        view(memory.view().slice(1, 0, columns)) {
    const Tensor values = random_tensor({rows, columns}, seed, dtype, options);
    Context context;
    copy_implementations().entries().back().run({values, view}, context);
  }
  bool gaps_untouched() const {
    const std::int64_t columns = view.size(1);
    const TensorView gaps = memory.view().slice(1, columns, memory->size(1) - columns);
    for (std::int64_t i = 0; i < gaps.numel(); ++i)
      if (element(gaps, i) != kGapValue) return false;
    return true;
  }
};

/// Runs every implementation that accepts `params` and compares what it leaves in `out`. `out` is
/// put back before each run, so it may be an input too.
template <typename Params>
void expect_agreement(const ImplementationList<Params>& list, const Params& params,
                      const TensorView& out, double tolerance) {
  Context context;
  const auto& copy_reference = copy_implementations().entries().back();
  const Tensor before = clone(out);
  list.entries().back().run(params, context);
  const Tensor expected = clone(out);
  for (const auto& entry : list.entries()) {
    if (!entry.refusal(params, context).empty()) continue;
    SCOPED_TRACE(entry.name);
    copy_reference.run({before, out}, context);
    entry.run(params, context);
    EXPECT_TRUE(close(out, expected, tolerance));
  }
}

/// Runs every implementation that accepts `params`, and `check` after each.
template <typename Params, typename Check>
void with_each_implementation(const ImplementationList<Params>& list, const Params& params,
                              const Check& check) {
  for (const auto& entry : list.entries()) {
    Context context;
    context.threads = 3;
    if (!entry.refusal(params, context).empty()) continue;
    SCOPED_TRACE(entry.name);
    entry.run(params, context);
    check();
  }
}

/// Runs every implementation but the reference that accepts `params`, and `check` after each.
/// Returns how many there are.
template <typename Params, typename Check>
int with_each_but_reference(const ImplementationList<Params>& list, const Params& params,
                            Context& context, const Check& check) {
  int count = 0;
  const auto& entries = list.entries();
  for (std::size_t i = 0; i + 1 < entries.size(); ++i) {
    if (!entries[i].refusal(params, context).empty()) continue;
    SCOPED_TRACE(entries[i].name);
    entries[i].run(params, context);
    check();
    ++count;
  }
  return count;
}

/// What the reference makes of `params`, whose own output it leaves alone.
template <typename Params>
Tensor output_of_reference(const ImplementationList<Params>& list, Params params,
                           Context& context) {
  Tensor expected(params.out.dtype(), params.out.shape());
  params.out = expected;
  list.entries().back().run(params, context);
  return expected;
}

/// The names of the cases as the names of the tests.
inline const auto case_name = [](const auto& info) { return std::string(info.param.name); };

}  // namespace sparsevid::ops
