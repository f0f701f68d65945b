// Hopper's matrix products of a warpgroup in 8 bits, a from registers and b with k contiguous: int8
// with exact sums, and e4m3. The tensor cores keep about 14 bits of an e4m3 product's
// sums.
//
// Sums lie as in wgmma.h. Four neighbouring blocks of 8 columns of them, as bytes, are the a
// operand of a product over those 32 columns, if b has each 16 columns in the order that
// `column_of_place` gives.
#pragma once

#include <cstdint>

#include "ops/cuda/common/wgmma_registers.h"

namespace sparsevid::ops::cuda {

/// d = a b^T, or d += a b^T if `add`; a from registers, 192 columns.
__device__ inline void wgmma_int8(int (&d)[96], const std::uint32_t (&a)[4], std::uint64_t b,
                                  bool add) {
  asm volatile(
      "{\n.reg .pred add;\nsetp.ne.b32 add, %101, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n192k32.s32.s8.s8 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
      "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
      "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, "
      "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, "
      "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95"
      "}, {%96, %97, %98, %99}, %100, add;\n}\n"
      : SPARSEVID_EIGHT(r, d, 0), SPARSEVID_EIGHT(r, d, 8), SPARSEVID_EIGHT(r, d, 16),
        SPARSEVID_EIGHT(r, d, 24), SPARSEVID_EIGHT(r, d, 32), SPARSEVID_EIGHT(r, d, 40),
        SPARSEVID_EIGHT(r, d, 48), SPARSEVID_EIGHT(r, d, 56), SPARSEVID_EIGHT(r, d, 64),
        SPARSEVID_EIGHT(r, d, 72), SPARSEVID_EIGHT(r, d, 80), SPARSEVID_EIGHT(r, d, 88)
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(static_cast<int>(add)));
}

/// d = a b^T, or d += a b^T if `add`; a from registers, 256 columns.
__device__ inline void wgmma_int8(int (&d)[128], const std::uint32_t (&a)[4], std::uint64_t b,
                                  bool add) {
  asm volatile(
      "{\n.reg .pred add;\nsetp.ne.b32 add, %133, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n256k32.s32.s8.s8 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
      "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
      "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, "
      "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, "
      "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, "
      "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, "
      "%112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, "
      "%127"
      "}, {%128, %129, %130, %131}, %132, add;\n}\n"
      : SPARSEVID_EIGHT(r, d, 0), SPARSEVID_EIGHT(r, d, 8), SPARSEVID_EIGHT(r, d, 16),
        SPARSEVID_EIGHT(r, d, 24), SPARSEVID_EIGHT(r, d, 32), SPARSEVID_EIGHT(r, d, 40),
        SPARSEVID_EIGHT(r, d, 48), SPARSEVID_EIGHT(r, d, 56), SPARSEVID_EIGHT(r, d, 64),
        SPARSEVID_EIGHT(r, d, 72), SPARSEVID_EIGHT(r, d, 80), SPARSEVID_EIGHT(r, d, 88),
        SPARSEVID_EIGHT(r, d, 96), SPARSEVID_EIGHT(r, d, 104), SPARSEVID_EIGHT(r, d, 112),
        SPARSEVID_EIGHT(r, d, 120)
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(static_cast<int>(add)));
}

/// d = a b^T, or d += a b^T if `add`; a from registers, 136 columns.
__device__ inline void wgmma_e4m3(float (&d)[68], const std::uint32_t (&a)[4], std::uint64_t b,
                                  bool add) {
  asm volatile(
      "{\n.reg .pred add;\nsetp.ne.b32 add, %73, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n136k32.f32.e4m3.e4m3 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
      "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
      "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, "
      "%64, %65, %66, %67"
      "}, {%68, %69, %70, %71}, %72, add, 1, 1;\n}\n"
      : SPARSEVID_EIGHT(f, d, 0), SPARSEVID_EIGHT(f, d, 8), SPARSEVID_EIGHT(f, d, 16),
        SPARSEVID_EIGHT(f, d, 24), SPARSEVID_EIGHT(f, d, 32), SPARSEVID_EIGHT(f, d, 40),
        SPARSEVID_EIGHT(f, d, 48), SPARSEVID_EIGHT(f, d, 56), "+f"(d[64]), "+f"(d[65]), "+f"(d[66]),
        "+f"(d[67])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(static_cast<int>(add)));
}

/// d = a b^T, or d += a b^T if `add`; a from registers, 72 columns.
__device__ inline void wgmma_e4m3(float (&d)[36], const std::uint32_t (&a)[4], std::uint64_t b,
                                  bool add) {
  asm volatile(
      "{\n.reg .pred add;\nsetp.ne.b32 add, %41, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n72k32.f32.e4m3.e4m3 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
      "%32, %33, %34, %35"
      "}, {%36, %37, %38, %39}, %40, add, 1, 1;\n}\n"
      : SPARSEVID_EIGHT(f, d, 0), SPARSEVID_EIGHT(f, d, 8), SPARSEVID_EIGHT(f, d, 16),
        SPARSEVID_EIGHT(f, d, 24), "+f"(d[32]), "+f"(d[33]), "+f"(d[34]), "+f"(d[35])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(static_cast<int>(add)));
}

/// Which of 16 columns of sums is byte `place` of the a operand made of them.
__host__ __device__ constexpr int column_of_place(int place) {
  return place / 2 % 2 * 8 + place / 4 * 2 + place % 2;
}

/// Bytes 0 to 3, from the lowest: the e4m3 nearest to each, at most 448.
__device__ inline std::uint32_t pack_e4m3(float x0, float x1, float x2, float x3) {
  std::uint32_t packed;
  asm("{\n.reg .b16 low, high;\n"
      "cvt.rn.satfinite.e4m3x2.f32 low, %2, %1;\n"
      "cvt.rn.satfinite.e4m3x2.f32 high, %4, %3;\n"
      "mov.b32 %0, {low, high};\n}\n"
      : "=r"(packed)
      : "f"(x0), "f"(x1), "f"(x2), "f"(x3));
  return packed;
}

}  // namespace sparsevid::ops::cuda
