// Hopper's asynchronous matrix products of a warpgroup, bf16 with sums in f32.
//
// The sums of a 64 x N product lie in thread t of the warpgroup as d[4 j + 2 h + e]: row
// 16 (t / 32) + (t % 32) / 4 + 8 h, column 8 j + 2 (t % 4) + e. Two neighbouring blocks of 8
// columns of it, rounded to bf16, are the a operand of a product over those 16 columns.
#pragma once

#include <cstdint>

#include "ops/cuda/common/mbarrier.h"
#include "ops/cuda/common/pack_bf16.h"
#include "ops/cuda/common/wgmma_registers.h"

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

/// An operand in shared memory, swizzled by 128 bytes: atoms of 8 rows of 128 bytes. `row_groups`
/// is the distance of atoms along the rows, `columns` that of atoms along the columns, which only
/// an operand with rows of k reads; in bytes.
__device__ inline std::uint64_t wgmma_operand(const void* shared, int row_groups, int columns) {
  constexpr std::uint64_t kSwizzle128 = 1ull << 62;
  return kSwizzle128 | static_cast<std::uint64_t>(row_groups >> 4) << 32 |
         static_cast<std::uint64_t>(columns >> 4) << 16 | (shared_address(shared) & 0x3ffff) >> 4;
}

/// d = a b, or d += a b if `add`; both from shared memory with k contiguous.
__device__ inline void wgmma_ss(float (&d)[32], std::uint64_t a, std::uint64_t b, bool add) {
  asm volatile(
      "{\n.reg .pred add;\nsetp.ne.b32 add, %34, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
      "}, %32, %33, add, 1, 1, 0, 0;\n}\n"
      : SPARSEVID_EIGHT(f, d, 0), SPARSEVID_EIGHT(f, d, 8), SPARSEVID_EIGHT(f, d, 16),
        SPARSEVID_EIGHT(f, d, 24)
      : "l"(a), "l"(b), "r"(static_cast<int>(add)));
}

/// d = a b, or d += a b if `add`; both from shared memory with k contiguous.
__device__ inline void wgmma_ss(float (&d)[40], std::uint64_t a, std::uint64_t b, bool add) {
  asm volatile(
      "{\n.reg .pred add;\nsetp.ne.b32 add, %42, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n80k16.f32.bf16.bf16 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
      "%32, %33, %34, %35, %36, %37, %38, %39"
      "}, %40, %41, add, 1, 1, 0, 0;\n}\n"
      : SPARSEVID_EIGHT(f, d, 0), SPARSEVID_EIGHT(f, d, 8), SPARSEVID_EIGHT(f, d, 16),
        SPARSEVID_EIGHT(f, d, 24), SPARSEVID_EIGHT(f, d, 32)
      : "l"(a), "l"(b), "r"(static_cast<int>(add)));
}

/// d = a b, or d += a b if `add`; both from shared memory with k contiguous.
__device__ inline void wgmma_ss(float (&d)[48], std::uint64_t a, std::uint64_t b, bool add) {
  asm volatile(
      "{\n.reg .pred add;\nsetp.ne.b32 add, %50, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n96k16.f32.bf16.bf16 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
      "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47"
      "}, %48, %49, add, 1, 1, 0, 0;\n}\n"
      : SPARSEVID_EIGHT(f, d, 0), SPARSEVID_EIGHT(f, d, 8), SPARSEVID_EIGHT(f, d, 16),
        SPARSEVID_EIGHT(f, d, 24), SPARSEVID_EIGHT(f, d, 32), SPARSEVID_EIGHT(f, d, 40)
      : "l"(a), "l"(b), "r"(static_cast<int>(add)));
}

/// d = a b, or d += a b if `add`; both from shared memory with k contiguous.
__device__ inline void wgmma_ss(float (&d)[56], std::uint64_t a, std::uint64_t b, bool add) {
  asm volatile(
      "{\n.reg .pred add;\nsetp.ne.b32 add, %58, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n112k16.f32.bf16.bf16 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
      "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
      "%48, %49, %50, %51, %52, %53, %54, %55"
      "}, %56, %57, add, 1, 1, 0, 0;\n}\n"
      : SPARSEVID_EIGHT(f, d, 0), SPARSEVID_EIGHT(f, d, 8), SPARSEVID_EIGHT(f, d, 16),
        SPARSEVID_EIGHT(f, d, 24), SPARSEVID_EIGHT(f, d, 32), SPARSEVID_EIGHT(f, d, 40),
        SPARSEVID_EIGHT(f, d, 48)
      : "l"(a), "l"(b), "r"(static_cast<int>(add)));
}

/// d = a b, or d += a b if `add`; both from shared memory with k contiguous.
__device__ inline void wgmma_ss(float (&d)[64], std::uint64_t a, std::uint64_t b, bool add) {
  asm volatile(
      "{\n.reg .pred add;\nsetp.ne.b32 add, %66, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
      "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
      "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
      "}, %64, %65, add, 1, 1, 0, 0;\n}\n"
      : SPARSEVID_EIGHT(f, d, 0), SPARSEVID_EIGHT(f, d, 8), SPARSEVID_EIGHT(f, d, 16),
        SPARSEVID_EIGHT(f, d, 24), SPARSEVID_EIGHT(f, d, 32), SPARSEVID_EIGHT(f, d, 40),
        SPARSEVID_EIGHT(f, d, 48), SPARSEVID_EIGHT(f, d, 56)
      : "l"(a), "l"(b), "r"(static_cast<int>(add)));
}

/// d = a b, or d += a b if `add`; both from shared memory with k contiguous.
__device__ inline void wgmma_ss(float (&d)[80], std::uint64_t a, std::uint64_t b, bool add) {
  asm volatile(
      "{\n.reg .pred add;\nsetp.ne.b32 add, %82, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n160k16.f32.bf16.bf16 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
      "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
      "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, "
      "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79"
      "}, %80, %81, add, 1, 1, 0, 0;\n}\n"
      : SPARSEVID_EIGHT(f, d, 0), SPARSEVID_EIGHT(f, d, 8), SPARSEVID_EIGHT(f, d, 16),
        SPARSEVID_EIGHT(f, d, 24), SPARSEVID_EIGHT(f, d, 32), SPARSEVID_EIGHT(f, d, 40),
        SPARSEVID_EIGHT(f, d, 48), SPARSEVID_EIGHT(f, d, 56), SPARSEVID_EIGHT(f, d, 64),
        SPARSEVID_EIGHT(f, d, 72)
      : "l"(a), "l"(b), "r"(static_cast<int>(add)));
}

/// d = a b, or d += a b if `add`; both from shared memory with k contiguous.
__device__ inline void wgmma_ss(float (&d)[88], std::uint64_t a, std::uint64_t b, bool add) {
  asm volatile(
      "{\n.reg .pred add;\nsetp.ne.b32 add, %90, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n176k16.f32.bf16.bf16 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
      "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
      "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, "
      "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, "
      "%80, %81, %82, %83, %84, %85, %86, %87"
      "}, %88, %89, add, 1, 1, 0, 0;\n}\n"
      : SPARSEVID_EIGHT(f, d, 0), SPARSEVID_EIGHT(f, d, 8), SPARSEVID_EIGHT(f, d, 16),
        SPARSEVID_EIGHT(f, d, 24), SPARSEVID_EIGHT(f, d, 32), SPARSEVID_EIGHT(f, d, 40),
        SPARSEVID_EIGHT(f, d, 48), SPARSEVID_EIGHT(f, d, 56), SPARSEVID_EIGHT(f, d, 64),
        SPARSEVID_EIGHT(f, d, 72), SPARSEVID_EIGHT(f, d, 80)
      : "l"(a), "l"(b), "r"(static_cast<int>(add)));
}

/// d = a b, or d += a b if `add`; both from shared memory with k contiguous.
__device__ inline void wgmma_ss(float (&d)[96], std::uint64_t a, std::uint64_t b, bool add) {
  asm volatile(
      "{\n.reg .pred add;\nsetp.ne.b32 add, %98, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n192k16.f32.bf16.bf16 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
      "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
      "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, "
      "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, "
      "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95"
      "}, %96, %97, add, 1, 1, 0, 0;\n}\n"
      : SPARSEVID_EIGHT(f, d, 0), SPARSEVID_EIGHT(f, d, 8), SPARSEVID_EIGHT(f, d, 16),
        SPARSEVID_EIGHT(f, d, 24), SPARSEVID_EIGHT(f, d, 32), SPARSEVID_EIGHT(f, d, 40),
        SPARSEVID_EIGHT(f, d, 48), SPARSEVID_EIGHT(f, d, 56), SPARSEVID_EIGHT(f, d, 64),
        SPARSEVID_EIGHT(f, d, 72), SPARSEVID_EIGHT(f, d, 80), SPARSEVID_EIGHT(f, d, 88)
      : "l"(a), "l"(b), "r"(static_cast<int>(add)));
}

/// d += a b; a from registers, b from shared memory with rows of k ("MN-major").
__device__ inline void wgmma_rs(float (&d)[32], const std::uint32_t (&a)[4], std::uint64_t b,
                                bool add) {
  asm volatile(
      "{\n.reg .pred add;\nsetp.ne.b32 add, %37, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
      "}, {%32, %33, %34, %35}, %36, add, 1, 1, 1;\n}\n"
      : SPARSEVID_EIGHT(f, d, 0), SPARSEVID_EIGHT(f, d, 8), SPARSEVID_EIGHT(f, d, 16),
        SPARSEVID_EIGHT(f, d, 24)
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(static_cast<int>(add)));
}

/// d += a b; a from registers, b from shared memory with rows of k ("MN-major").
__device__ inline void wgmma_rs(float (&d)[64], const std::uint32_t (&a)[4], std::uint64_t b,
                                bool add) {
  asm volatile(
      "{\n.reg .pred add;\nsetp.ne.b32 add, %69, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
      "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
      "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
      "}, {%64, %65, %66, %67}, %68, add, 1, 1, 1;\n}\n"
      : SPARSEVID_EIGHT(f, d, 0), SPARSEVID_EIGHT(f, d, 8), SPARSEVID_EIGHT(f, d, 16),
        SPARSEVID_EIGHT(f, d, 24), SPARSEVID_EIGHT(f, d, 32), SPARSEVID_EIGHT(f, d, 40),
        SPARSEVID_EIGHT(f, d, 48), SPARSEVID_EIGHT(f, d, 56)
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(static_cast<int>(add)));
}

}  // namespace sparsevid::ops::cuda
