#include "ops/quantize_rows.h"

#include "ops/dispatch/contract.h"
#include "ops/dispatch/cuda_entries.h"
#include "ops/ref/quantize_rows.h"

namespace sparsevid::ops {

const ImplementationList<QuantizeRowsParams>& quantize_rows_implementations() {
  static const auto list = implementations<QuantizeRowsParams>(
      "quantize_rows", {{"ref", never_refuses<QuantizeRowsParams>, ref::quantize_rows}});
  return list;
}

void quantize_rows(const QuantizeRowsParams& params, Context& context) {
  const auto& [x, out, scale] = params;
  require_contract(is_matrix(x) && out.defined() && out.dtype() == DType::u8 &&
                       out.shape() == x.shape() && (out.size(1) <= 1 || out.stride(1) == 1) &&
                       is_vector(scale, x.size(0)),
                   "quantize_rows", {x, out, scale});
  quantize_rows_implementations().run(params, context);
}

}  // namespace sparsevid::ops
