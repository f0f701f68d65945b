// Hopper's asynchronous matrix products of a warpgroup.
//
// The sums of a 64 x N product lie in thread t of the warpgroup as d[4 j + 2 h + e]: row
// 16 (t / 32) + (t % 32) / 4 + 8 h, column 8 j + 2 (t % 4) + e. Two neighbouring blocks of 8
// columns of it, rounded to bf16, are the a operand of a product over those 16 columns.
#pragma once

#include <cstdint>

#include "ops/cuda/common/mbarrier.h"
#include "ops/cuda/common/wgmma_instruction.h"

namespace sparsevid::ops::cuda {

/// Before the first product that reads registers written by other instructions.
__device__ inline void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ inline void wgmma_commit() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
/// Until at most `kPending` committed groups are unfinished.
template <int kPending>
__device__ void wgmma_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kPending) : "memory");
}
/// Keeps the compiler from moving uses of `registers` across this place.
template <int kCount>
__device__ void pin_registers(float (&registers)[kCount]) {
#pragma unroll
  for (int i = 0; i < kCount; ++i) asm volatile("" : "+f"(registers[i])::"memory");
}
template <int kCount>
__device__ void pin_registers(int (&registers)[kCount]) {
#pragma unroll
  for (int i = 0; i < kCount; ++i) asm volatile("" : "+r"(registers[i])::"memory");
}

/// An operand in shared memory, swizzled by 128 bytes: atoms of 8 rows of 128 bytes. `row_groups`
/// is the distance of atoms along the rows, `columns` that of atoms along the columns, which only
/// an operand with rows of k reads; in bytes.
__device__ inline std::uint64_t wgmma_operand(const void* shared, int row_groups, int columns) {
  constexpr std::uint64_t kSwizzle128 = 1ull << 62;
  return kSwizzle128 | static_cast<std::uint64_t>(row_groups >> 4) << 32 |
         static_cast<std::uint64_t>(columns >> 4) << 16 | (shared_address(shared) & 0x3ffff) >> 4;
}

// The products there are; a line more for another size. After the number of sums: the shape and the
// types, and factors 1 of a and b, then for bf16 whether a (in shared memory) and b have rows of k.

/// d = a b, or d += a b if `add`; a and b with k contiguous.
SPARSEVID_SHARED_A(wgmma_bf16, float, f, 16, "m64n32k16.f32.bf16.bf16", ", 1, 1, 0, 0")
SPARSEVID_SHARED_A(wgmma_bf16, float, f, 32, "m64n64k16.f32.bf16.bf16", ", 1, 1, 0, 0")
SPARSEVID_SHARED_A(wgmma_bf16, float, f, 40, "m64n80k16.f32.bf16.bf16", ", 1, 1, 0, 0")
SPARSEVID_SHARED_A(wgmma_bf16, float, f, 48, "m64n96k16.f32.bf16.bf16", ", 1, 1, 0, 0")
SPARSEVID_SHARED_A(wgmma_bf16, float, f, 56, "m64n112k16.f32.bf16.bf16", ", 1, 1, 0, 0")
SPARSEVID_SHARED_A(wgmma_bf16, float, f, 64, "m64n128k16.f32.bf16.bf16", ", 1, 1, 0, 0")
SPARSEVID_SHARED_A(wgmma_bf16, float, f, 80, "m64n160k16.f32.bf16.bf16", ", 1, 1, 0, 0")
SPARSEVID_SHARED_A(wgmma_bf16, float, f, 88, "m64n176k16.f32.bf16.bf16", ", 1, 1, 0, 0")
SPARSEVID_SHARED_A(wgmma_bf16, float, f, 96, "m64n192k16.f32.bf16.bf16", ", 1, 1, 0, 0")
SPARSEVID_SHARED_A(wgmma_bf16, float, f, 128, "m64n256k16.f32.bf16.bf16", ", 1, 1, 0, 0")
SPARSEVID_REGISTER_A(wgmma_bf16, float, f, 40, "m64n80k16.f32.bf16.bf16", ", 1, 1, 0")
SPARSEVID_REGISTER_A(wgmma_bf16, float, f, 52, "m64n104k16.f32.bf16.bf16", ", 1, 1, 0")
SPARSEVID_REGISTER_A(wgmma_bf16, float, f, 56, "m64n112k16.f32.bf16.bf16", ", 1, 1, 0")
SPARSEVID_REGISTER_A(wgmma_bf16, float, f, 64, "m64n128k16.f32.bf16.bf16", ", 1, 1, 0")

/// d = a b, or d += a b if `add`; b with rows of k ("MN-major").
SPARSEVID_REGISTER_A(wgmma_bf16_rows_of_k, float, f, 32, "m64n64k16.f32.bf16.bf16", ", 1, 1, 1")
SPARSEVID_REGISTER_A(wgmma_bf16_rows_of_k, float, f, 64, "m64n128k16.f32.bf16.bf16", ", 1, 1, 1")

/// d = a b, or d += a b if `add`; a and b with k contiguous, of whose f32 the upper 19 bits count.
SPARSEVID_SHARED_A(wgmma_tf32, float, f, 16, "m64n32k8.f32.tf32.tf32", ", 1, 1")
SPARSEVID_SHARED_A(wgmma_tf32, float, f, 48, "m64n96k8.f32.tf32.tf32", ", 1, 1")
SPARSEVID_SHARED_A(wgmma_tf32, float, f, 96, "m64n192k8.f32.tf32.tf32", ", 1, 1")

/// d = a b, or d += a b if `add`; a and b with k contiguous. The tensor cores keep about 14 bits of
/// the sums.
SPARSEVID_SHARED_A(wgmma_e4m3, float, f, 128, "m64n256k32.f32.e4m3.e4m3", ", 1, 1")
SPARSEVID_REGISTER_A(wgmma_e4m3, float, f, 36, "m64n72k32.f32.e4m3.e4m3", ", 1, 1")
SPARSEVID_REGISTER_A(wgmma_e4m3, float, f, 68, "m64n136k32.f32.e4m3.e4m3", ", 1, 1")

/// d = a b, or d += a b if `add`; a and b with k contiguous. Sums are exact.
SPARSEVID_REGISTER_A(wgmma_int8, int, r, 96, "m64n192k32.s32.s8.s8", "")
SPARSEVID_REGISTER_A(wgmma_int8, int, r, 128, "m64n256k32.s32.s8.s8", "")

}  // namespace sparsevid::ops::cuda
