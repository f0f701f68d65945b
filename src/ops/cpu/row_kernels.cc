#include "ops/cpu/row_kernels.h"

#include "base/cpu_features.h"

namespace sparsevid::ops::cpu {

const RowKernels& row_kernels() {
  if (cpu_isa() >= CpuIsa::avx512) return kRowKernelsAvx512;
  return cpu_isa() >= CpuIsa::avx2 ? kRowKernelsAvx2 : kRowKernelsScalar;
}

}  // namespace sparsevid::ops::cpu
