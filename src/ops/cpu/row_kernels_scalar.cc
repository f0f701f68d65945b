#include "ops/cpu/row_kernels_set.h"

namespace sparsevid::ops::cpu {

const RowKernels kRowKernelsScalar = kRowKernelSet;

}  // namespace sparsevid::ops::cpu
