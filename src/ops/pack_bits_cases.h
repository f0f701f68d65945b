// Cases of pack_bits and unpack_bits: numbers that end inside a group and inside a byte.
#pragma once

#include <string>
#include <vector>

#include "core/tensor.h"

namespace sparsevid::ops {

struct PackBitsCase {
  std::string name;
  DType dtype;
  int bits;
  std::int64_t count;
};

inline std::vector<PackBitsCase> pack_bits_cases() {
  return {{"choices", DType::u8, 1, 3003},     {"one_choice", DType::u8, 1, 1},
          {"bytes", DType::u8, 8, 77},         {"labels_9", DType::i32, 9, 4096},
          {"labels_10", DType::i32, 10, 5001}, {"labels_16", DType::i32, 16, 1023},
          {"no_numbers", DType::i32, 3, 0}};
}

}  // namespace sparsevid::ops
