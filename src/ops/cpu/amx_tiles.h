// The AMX tile instructions: eight tiles of 16 rows of 64 bytes. Include only where they are on.
#pragma once

#include <cstdint>

namespace sparsevid::ops::cpu {
namespace {

/// The instructions themselves: the compiler's macros take no template parameters.
struct AmxTiles {
  static void configure() {
    struct alignas(64) Configuration {
      std::uint8_t palette = 1;
      std::uint8_t start_row = 0;
      std::uint8_t reserved[14] = {};
      std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
      std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
    };
    static_assert(sizeof(Configuration) == 64);
    static constexpr Configuration kEight;
    asm volatile("ldtilecfg %0" : : "m"(kEight));
  }
  static void release() { asm volatile("tilerelease" : : : "memory"); }

  template <int kTile>
  static void zero() {
    asm volatile("tilezero %%tmm%c0" : : "i"(kTile));
  }
  template <int kTile>
  static void load(const void* from, std::int64_t row_distance) {
    asm volatile("tileloadd (%0,%1,1), %%tmm%c2"
                 :
                 : "r"(from), "r"(row_distance), "i"(kTile)
                 : "memory");
  }
  template <int kTile>
  static void store(void* to, std::int64_t row_distance) {
    asm volatile("tilestored %%tmm%c2, (%0,%1,1)"
                 :
                 : "r"(to), "r"(row_distance), "i"(kTile)
                 : "memory");
  }
  /// sum += left . right
  template <int kSum, int kLeft, int kRight>
  static void dot() {
    asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kSum), "i"(kLeft), "i"(kRight));
  }
};

}  // namespace
}  // namespace sparsevid::ops::cpu
