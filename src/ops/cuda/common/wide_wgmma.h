// Hopper's matrix products of a warpgroup with both operands in shared memory, over many columns,
// in bf16 and in fp8 (e4m3).
#pragma once

#include <cstdint>

#include "ops/cuda/common/wgmma_registers.h"

namespace sparsevid::ops::cuda {

/// d = a b^T, or d += a b^T if `add`; 256 columns.
__device__ inline void wgmma_ss(float (&d)[128], std::uint64_t a, std::uint64_t b, bool add) {
  asm volatile(
      "{\n.reg .pred add;\nsetp.ne.b32 add, %130, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n256k16.f32.bf16.bf16 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
      "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
      "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, "
      "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, "
      "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, "
      "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, "
      "%112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, "
      "%127"
      "}, %128, %129, add, 1, 1, 0, 0;\n}\n"
      : SPARSEVID_EIGHT(f, d, 0), SPARSEVID_EIGHT(f, d, 8), SPARSEVID_EIGHT(f, d, 16),
        SPARSEVID_EIGHT(f, d, 24), SPARSEVID_EIGHT(f, d, 32), SPARSEVID_EIGHT(f, d, 40),
        SPARSEVID_EIGHT(f, d, 48), SPARSEVID_EIGHT(f, d, 56), SPARSEVID_EIGHT(f, d, 64),
        SPARSEVID_EIGHT(f, d, 72), SPARSEVID_EIGHT(f, d, 80), SPARSEVID_EIGHT(f, d, 88),
        SPARSEVID_EIGHT(f, d, 96), SPARSEVID_EIGHT(f, d, 104), SPARSEVID_EIGHT(f, d, 112),
        SPARSEVID_EIGHT(f, d, 120)
      : "l"(a), "l"(b), "r"(static_cast<int>(add)));
}

/// d = a b^T, or d += a b^T if `add`; 256 columns.
__device__ inline void wgmma_e4m3(float (&d)[128], std::uint64_t a, std::uint64_t b, bool add) {
  asm volatile(
      "{\n.reg .pred add;\nsetp.ne.b32 add, %130, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n256k32.f32.e4m3.e4m3 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
      "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
      "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, "
      "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, "
      "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, "
      "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, "
      "%112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, "
      "%127"
      "}, %128, %129, add, 1, 1;\n}\n"
      : SPARSEVID_EIGHT(f, d, 0), SPARSEVID_EIGHT(f, d, 8), SPARSEVID_EIGHT(f, d, 16),
        SPARSEVID_EIGHT(f, d, 24), SPARSEVID_EIGHT(f, d, 32), SPARSEVID_EIGHT(f, d, 40),
        SPARSEVID_EIGHT(f, d, 48), SPARSEVID_EIGHT(f, d, 56), SPARSEVID_EIGHT(f, d, 64),
        SPARSEVID_EIGHT(f, d, 72), SPARSEVID_EIGHT(f, d, 80), SPARSEVID_EIGHT(f, d, 88),
        SPARSEVID_EIGHT(f, d, 96), SPARSEVID_EIGHT(f, d, 104), SPARSEVID_EIGHT(f, d, 112),
        SPARSEVID_EIGHT(f, d, 120)
      : "l"(a), "l"(b), "r"(static_cast<int>(add)));
}

}  // namespace sparsevid::ops::cuda
