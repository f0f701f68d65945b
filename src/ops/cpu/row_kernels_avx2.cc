#include "ops/cpu/row_kernels_set.h"

namespace sparsevid::ops::cpu {

const RowKernels kRowKernelsAvx2 = kRowKernelSet;

}  // namespace sparsevid::ops::cpu
