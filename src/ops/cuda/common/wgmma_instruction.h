// The text of Hopper's matrix product instruction and functions around it, for the table in
// wgmma.h.
//
// The instruction wants every register by name. Here are, for each number of sums that is in use:
// their names in its text, the operands that these names stand for, and the numbers of the six
// operands after them.
#pragma once

#define SPARSEVID_NAMES_16 "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15"
#define SPARSEVID_NAMES_32 \
  SPARSEVID_NAMES_16       \
  ", %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define SPARSEVID_NAMES_36 SPARSEVID_NAMES_32 ", %32, %33, %34, %35"
#define SPARSEVID_NAMES_40 SPARSEVID_NAMES_36 ", %36, %37, %38, %39"
#define SPARSEVID_NAMES_48 SPARSEVID_NAMES_40 ", %40, %41, %42, %43, %44, %45, %46, %47"
#define SPARSEVID_NAMES_52 SPARSEVID_NAMES_48 ", %48, %49, %50, %51"
#define SPARSEVID_NAMES_56 SPARSEVID_NAMES_52 ", %52, %53, %54, %55"
#define SPARSEVID_NAMES_64 SPARSEVID_NAMES_56 ", %56, %57, %58, %59, %60, %61, %62, %63"
#define SPARSEVID_NAMES_68 SPARSEVID_NAMES_64 ", %64, %65, %66, %67"
#define SPARSEVID_NAMES_80 \
  SPARSEVID_NAMES_68       \
  ", %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79"
#define SPARSEVID_NAMES_88 SPARSEVID_NAMES_80 ", %80, %81, %82, %83, %84, %85, %86, %87"
#define SPARSEVID_NAMES_96 SPARSEVID_NAMES_88 ", %88, %89, %90, %91, %92, %93, %94, %95"
#define SPARSEVID_NAMES_128                                                                      \
  SPARSEVID_NAMES_96                                                                             \
  ", %96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111" \
  ", %112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, " \
  "%127"

#define SPARSEVID_FOUR(c, i) "+" #c(d[i]), "+" #c(d[i + 1]), "+" #c(d[i + 2]), "+" #c(d[i + 3])
#define SPARSEVID_EIGHT(c, i) SPARSEVID_FOUR(c, i), SPARSEVID_FOUR(c, i + 4)
#define SPARSEVID_SUMS_16(c) SPARSEVID_EIGHT(c, 0), SPARSEVID_EIGHT(c, 8)
#define SPARSEVID_SUMS_32(c) SPARSEVID_SUMS_16(c), SPARSEVID_EIGHT(c, 16), SPARSEVID_EIGHT(c, 24)
#define SPARSEVID_SUMS_36(c) SPARSEVID_SUMS_32(c), SPARSEVID_FOUR(c, 32)
#define SPARSEVID_SUMS_40(c) SPARSEVID_SUMS_32(c), SPARSEVID_EIGHT(c, 32)
#define SPARSEVID_SUMS_48(c) SPARSEVID_SUMS_40(c), SPARSEVID_EIGHT(c, 40)
#define SPARSEVID_SUMS_52(c) SPARSEVID_SUMS_48(c), SPARSEVID_FOUR(c, 48)
#define SPARSEVID_SUMS_56(c) SPARSEVID_SUMS_48(c), SPARSEVID_EIGHT(c, 48)
#define SPARSEVID_SUMS_64(c) SPARSEVID_SUMS_56(c), SPARSEVID_EIGHT(c, 56)
#define SPARSEVID_SUMS_68(c) SPARSEVID_SUMS_64(c), SPARSEVID_FOUR(c, 64)
#define SPARSEVID_SUMS_80(c) SPARSEVID_SUMS_64(c), SPARSEVID_EIGHT(c, 64), SPARSEVID_EIGHT(c, 72)
#define SPARSEVID_SUMS_88(c) SPARSEVID_SUMS_80(c), SPARSEVID_EIGHT(c, 80)
#define SPARSEVID_SUMS_96(c) SPARSEVID_SUMS_88(c), SPARSEVID_EIGHT(c, 88)
#define SPARSEVID_SUMS_128(c)                                                                     \
  SPARSEVID_SUMS_96(c), SPARSEVID_EIGHT(c, 96), SPARSEVID_EIGHT(c, 104), SPARSEVID_EIGHT(c, 112), \
      SPARSEVID_EIGHT(c, 120)

#define SPARSEVID_AFTER_16 16, 17, 18, 19, 20, 21
#define SPARSEVID_AFTER_32 32, 33, 34, 35, 36, 37
#define SPARSEVID_AFTER_36 36, 37, 38, 39, 40, 41
#define SPARSEVID_AFTER_40 40, 41, 42, 43, 44, 45
#define SPARSEVID_AFTER_48 48, 49, 50, 51, 52, 53
#define SPARSEVID_AFTER_52 52, 53, 54, 55, 56, 57
#define SPARSEVID_AFTER_56 56, 57, 58, 59, 60, 61
#define SPARSEVID_AFTER_64 64, 65, 66, 67, 68, 69
#define SPARSEVID_AFTER_68 68, 69, 70, 71, 72, 73
#define SPARSEVID_AFTER_80 80, 81, 82, 83, 84, 85
#define SPARSEVID_AFTER_88 88, 89, 90, 91, 92, 93
#define SPARSEVID_AFTER_96 96, 97, 98, 99, 100, 101
#define SPARSEVID_AFTER_128 128, 129, 130, 131, 132, 133

#define SPARSEVID_INSTRUCTION(sums, shape_and_types, operands, add, flags)    \
  "{\n.reg .pred add;\nsetp.ne.b32 add, %" #add                               \
  ", 0;\n"                                                                    \
  "wgmma.mma_async.sync.aligned." shape_and_types " {" SPARSEVID_NAMES_##sums \
      "}, " operands ", add" flags ";\n}\n"

// The two forms of a product: both operands in shared memory, or a in registers.
#define SPARSEVID_SHARED_A_OF(name, Sum, c, sums, shape_and_types, flags, a_, b_, add_, ...)  \
  __device__ inline void name(Sum(&d)[sums], std::uint64_t a, std::uint64_t b, bool add) {    \
    asm volatile(SPARSEVID_INSTRUCTION(sums, shape_and_types, "%" #a_ ", %" #b_, add_, flags) \
                 : SPARSEVID_SUMS_##sums(c)                                                   \
                 : "l"(a), "l"(b), "r"(static_cast<int>(add)));                               \
  }
#define SPARSEVID_REGISTER_A_OF(name, Sum, c, sums, shape_and_types, flags, a0, a1, a2, a3, b_, \
                                add_)                                                           \
  __device__ inline void name(Sum(&d)[sums], const std::uint32_t(&a)[4], std::uint64_t b,       \
                              bool add) {                                                       \
    asm volatile(                                                                               \
        SPARSEVID_INSTRUCTION(sums, shape_and_types,                                            \
                              "{%" #a0 ", %" #a1 ", %" #a2 ", %" #a3 "}, %" #b_, add_, flags)   \
        : SPARSEVID_SUMS_##sums(c)                                                              \
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(static_cast<int>(add)));      \
  }
#define SPARSEVID_EXPAND(form, ...) form(__VA_ARGS__)
#define SPARSEVID_SHARED_A(name, Sum, c, sums, shape_and_types, flags)                \
  SPARSEVID_EXPAND(SPARSEVID_SHARED_A_OF, name, Sum, c, sums, shape_and_types, flags, \
                   SPARSEVID_AFTER_##sums)
#define SPARSEVID_REGISTER_A(name, Sum, c, sums, shape_and_types, flags)                \
  SPARSEVID_EXPAND(SPARSEVID_REGISTER_A_OF, name, Sum, c, sums, shape_and_types, flags, \
                   SPARSEVID_AFTER_##sums)
