#include "ops/cpu/row_kernels_set.h"

namespace sparsevid::ops::cpu {

const RowKernels kRowKernelsAvx512 = kRowKernelSet;

}  // namespace sparsevid::ops::cpu
