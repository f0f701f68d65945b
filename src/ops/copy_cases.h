// The cases that test and time ops/copy.h.
#pragma once

#include <string_view>
#include <vector>

#include "ops/agreement.h"
#include "ops/copy.h"

namespace sparsevid::ops {

struct CopyCase {
  std::string_view name;
  Shape shape;  ///< of the memory of x
  DType from;
  DType to;
  int swap_a = 0;  ///< two axes exchanged in the view of x
  int swap_b = 0;
  std::int64_t cut = 0;  ///< elements left out at the end of the last axis of the memory of x
};

inline std::vector<CopyCase> copy_cases() {
  return {
      {"SameF32", {37, 131}, DType::f32, DType::f32},
      {"SameF16", {37}, DType::f16, DType::f16},
      {"SameI64", {3, 5, 7}, DType::i64, DType::i64, 0, 2},
      {"SameU8", {31, 3}, DType::u8, DType::u8, 0, 1},
      {"F32ToBf16", {1000, 33}, DType::f32, DType::bf16},
      {"Bf16ToF32", {1000, 33}, DType::bf16, DType::f32},
      {"F16ToF32", {1031}, DType::f16, DType::f32},
      {"F16ToBf16", {1031}, DType::f16, DType::bf16},
      {"F32ToF64", {9, 4}, DType::f32, DType::f64},
      {"F64ToBf16", {9, 4}, DType::f64, DType::bf16, 0, 1},
      {"I32ToF32", {77}, DType::i32, DType::f32},
      {"I64ToBf16", {77}, DType::i64, DType::bf16},
      {"U8ToF32", {5, 6, 3}, DType::u8, DType::f32, 0, 2},
      {"TransposedF32", {40, 70}, DType::f32, DType::f32, 0, 1},
      {"HeadsFirstBf16", {50, 4, 16}, DType::bf16, DType::bf16, 0, 1},
      {"HeadsFirstConverted", {50, 4, 16}, DType::bf16, DType::f32, 0, 1},
      {"ChannelsLastConverted", {5, 3, 4, 6}, DType::f32, DType::bf16, 0, 3},
      {"CutRowsF32", {20, 30}, DType::f32, DType::f32, 0, 0, 7},
      {"CutRowsConverted", {20, 30}, DType::f32, DType::bf16, 0, 0, 7},
      {"OneElement", {1, 1, 1}, DType::f32, DType::bf16, 0, 2},
  };
}

struct CopyInputs {
  Tensor memory, out;
  CopyParams params;

  explicit CopyInputs(const CopyCase& c) : memory(values(c)) {
    const TensorView x =
        memory.view().slice(-1, 0, memory->size(-1) - c.cut).transpose(c.swap_a, c.swap_b);
    out = Tensor(c.to, x.shape());
    params = {x, out};
  }

 private:
  static Tensor values(const CopyCase& c) {
    switch (c.from) {
      case DType::i64:
      case DType::i32:
      case DType::u8:
        return random_integers(c.shape, 1, 0, 200, c.from);
      case DType::f16: {
        Tensor halves(DType::f16, c.shape);
        const Tensor bits = random_integers(c.shape, 1, 0, 0x7bff);  // every finite magnitude
        for (std::int64_t i = 0; i < halves->numel(); ++i)
          halves->as<f16>()[i].bits =
              static_cast<std::uint16_t>(bits->as<std::int32_t>()[i] | (i % 2 << 15));
        return halves;
      }
      default:
        return random_tensor(c.shape, 1, c.from);
    }
  }
};

}  // namespace sparsevid::ops
