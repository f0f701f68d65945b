#include "pipeline/finite.h"

#include <algorithm>
#include <atomic>

#include "base/parallel.h"
#include "core/transfer.h"
#include "ops/linear_combination.h"

namespace sparsevid {
namespace {

constexpr std::int64_t kValuesPerTask = 1 << 18;
/// So few are copied faster than folded.
constexpr std::int64_t kFew = 1 << 16;
/// What one pass of a GPU adds up.
constexpr std::int64_t kTerms = 4;

/// A NaN or infinity anywhere makes the sum of x - x one.
template <typename T>
bool all_finite_in(const T* x, std::int64_t begin, std::int64_t end) {
  float sum = 0;
  for (std::int64_t i = begin; i < end; ++i) {
    const auto value = static_cast<float>(x[i]);
    sum += value - value;
  }
  return sum == 0;
}

}  // namespace

bool all_finite(const TensorView& on_cpu, int threads) {
  std::atomic<bool> finite = true;
  parallel_for(threads, on_cpu.numel(), kValuesPerTask, [&](std::int64_t begin, std::int64_t end) {
    const bool here = on_cpu.dtype() == DType::f32 ? all_finite_in(on_cpu.as<float>(), begin, end)
                                                   : all_finite_in(on_cpu.as<bf16>(), begin, end);
    if (!here) finite = false;
  });
  return finite;
}

TensorView folded(const TensorView& values, Context& context) {
  TensorView left = values.reshape({values.numel()});
  while (left.numel() > kFew && left.numel() % kTerms == 0) {
    const std::int64_t part = left.numel() / kTerms;
    ops::LinearCombinationParams sum;
    // Nothing times a number is nothing, and times anything else it is NaN.
    for (std::int64_t term = 0; term < kTerms; ++term)
      sum.terms.push_back({.x = left.slice(0, term * part, part), .coefficient = 0});
    sum.out = context.arena.tensor(DType::f32, {part});
    ops::linear_combination(sum, context);
    left = sum.out;
  }
  return left;
}

bool all_finite_anywhere(const TensorView& values, Context& context) {
  if (values.device() == Device::cpu) return all_finite(values, context.threads);
  const Arena::Scope scope(context.arena);
  Tensor copy;
  return all_finite(view_on(Device::cpu, folded(values, context), copy, context), context.threads);
}

}  // namespace sparsevid
