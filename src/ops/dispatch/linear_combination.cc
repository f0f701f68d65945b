#include "ops/linear_combination.h"

#include "ops/cpu/elementwise.h"
#include "ops/dispatch/contract.h"
#include "ops/dispatch/cuda_entries.h"
#include "ops/ref/linear_combination.h"

namespace sparsevid::ops {

const ImplementationList<LinearCombinationParams>& linear_combination_implementations() {
  static const auto list = implementations<LinearCombinationParams>(
      "linear_combination",
      {{"simd", never_refuses<LinearCombinationParams>, cpu::linear_combination},
       {"ref", never_refuses<LinearCombinationParams>, ref::linear_combination}});
  return list;
}

void linear_combination(const LinearCombinationParams& params, Context& context) {
  bool holds = params.out.dtype() == DType::f32 && params.out.contiguous();
  for (const auto& term : params.terms)
    holds = holds && same_shape_and_dtype(term.x, params.out) && term.x.contiguous();
  require_contract(holds, "linear_combination",
                   {params.out, params.terms.empty() ? TensorView() : params.terms.front().x});
  linear_combination_implementations().run(params, context);
}

}  // namespace sparsevid::ops
