#include "ops/pack_bits.h"

#include "ops/cpu/pack_bits.h"
#include "ops/dispatch/contract.h"
#include "ops/dispatch/cuda_entries.h"
#include "ops/ref/pack_bits.h"

namespace sparsevid::ops {
namespace {

bool is_packed(const TensorView& packed, const TensorView& values, int bits) {
  return values.defined() && (values.dtype() == DType::i32 || values.dtype() == DType::u8) &&
         values.contiguous() && bits >= 1 && bits <= 16 && packed.defined() &&
         packed.dtype() == DType::u8 && packed.contiguous() &&
         packed.shape() == Shape{packed_bytes(values.numel(), bits)};
}

}  // namespace

const ImplementationList<PackBitsParams>& pack_bits_implementations() {
  static const auto list = implementations<PackBitsParams>(
      "pack_bits", {{"cpu", never_refuses<PackBitsParams>, cpu::pack_bits},
                    {"ref", never_refuses<PackBitsParams>, ref::pack_bits}});
  return list;
}

const ImplementationList<UnpackBitsParams>& unpack_bits_implementations() {
  static const auto list = implementations<UnpackBitsParams>(
      "unpack_bits", {{"cpu", never_refuses<UnpackBitsParams>, cpu::unpack_bits},
                      {"ref", never_refuses<UnpackBitsParams>, ref::unpack_bits}});
  return list;
}

void pack_bits(const PackBitsParams& params, Context& context) {
  require_contract(is_packed(params.packed, params.values, params.bits), "pack_bits",
                   {params.values, params.packed});
  pack_bits_implementations().run(params, context);
}

void unpack_bits(const UnpackBitsParams& params, Context& context) {
  require_contract(is_packed(params.packed, params.values, params.bits), "unpack_bits",
                   {params.packed, params.values});
  unpack_bits_implementations().run(params, context);
}

}  // namespace sparsevid::ops
