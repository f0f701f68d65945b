// Small whole numbers in as few bits as they need, for what is kept between steps.
#pragma once

#include <cstdint>

#include "core/context.h"
#include "core/tensor.h"
#include "ops/implementation_list.h"

namespace sparsevid::ops {

constexpr std::int64_t packed_bytes(std::int64_t values, int bits) {
  return (values + 7) / 8 * bits;
}

struct PackBitsParams {
  TensorView values;  ///< i32 or u8, contiguous, each at least 0 and below 2^bits
  int bits = 1;       ///< 1 to 16
  TensorView packed;  ///< [packed_bytes(values, bits)] u8, contiguous, written: value i has bits
                      ///< i * bits to (i + 1) * bits, lowest first; zeros behind the last one
};
void pack_bits(const PackBitsParams& params, Context& context);
const ImplementationList<PackBitsParams>& pack_bits_implementations();

struct UnpackBitsParams {
  TensorView packed;  ///< as above
  int bits = 1;
  TensorView values;  ///< written
};
void unpack_bits(const UnpackBitsParams& params, Context& context);
const ImplementationList<UnpackBitsParams>& unpack_bits_implementations();

}  // namespace sparsevid::ops
