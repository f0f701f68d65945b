// Fragments of matrix products from and to shared memory: four 8 x 8 matrices of 16-bit elements at
// a time.
#pragma once

namespace sparsevid::ops::cuda {

/// Lane 8 m + r gives the address of row r of matrix m; each lane gets, of every matrix, row
/// lane / 4, columns 2 (lane % 4) and the next.
__device__ inline void ldmatrix_x4(unsigned (&fragment)[4], unsigned address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(fragment[0]), "=r"(fragment[1]), "=r"(fragment[2]), "=r"(fragment[3])
               : "r"(address)
               : "memory");
}

/// As above, of the transposed matrices.
__device__ inline void ldmatrix_x4_transposed(unsigned (&fragment)[4], unsigned address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(fragment[0]), "=r"(fragment[1]), "=r"(fragment[2]), "=r"(fragment[3])
               : "r"(address)
               : "memory");
}

/// The way back, on sm_90 and later.
__device__ inline void stmatrix_x4(const unsigned* fragment, unsigned address) {
  asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(address),
               "r"(fragment[0]), "r"(fragment[1]), "r"(fragment[2]), "r"(fragment[3])
               : "memory");
}

/// The same into transposed matrices: lane 8 m + c gives the address of column c of matrix m.
__device__ inline void stmatrix_x4_transposed(const unsigned* fragment, unsigned address) {
  asm volatile(
      "stmatrix.sync.aligned.m8n8.x4.trans.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(address),
      "r"(fragment[0]), "r"(fragment[1]), "r"(fragment[2]), "r"(fragment[3])
      : "memory");
}

}  // namespace sparsevid::ops::cuda
