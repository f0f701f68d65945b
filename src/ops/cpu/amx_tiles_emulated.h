// The AMX tile instructions spelled out in C++: every index of a kernel is tested on CPUs without
// them.
#pragma once

#include <cstdint>

#include "ops/cpu/attention_pack.h"

namespace sparsevid::ops::cpu {
namespace {

/// Eight tiles of 16 rows of 64 bytes, as the kernel configures them.
struct EmulatedTiles {
  static constexpr int kRows = 16;
  static constexpr int kRowBytes = 64;
  struct State {
    bool configured = false;
    alignas(64) unsigned char tile[8][kRows][kRowBytes];
  };
  static State& state() {
    static thread_local State state;
    return state;
  }

  static void configure() {
    state().configured = true;
    __builtin_memset(state().tile, 0, sizeof state().tile);
  }
  static void release() { state().configured = false; }

  template <int kTile>
  static void zero() {
    __builtin_memset(tile(kTile), 0, kRows * kRowBytes);
  }
  template <int kTile>
  static void load(const void* from, std::int64_t row_distance) {
    for (int row = 0; row < kRows; ++row)
      __builtin_memcpy(tile(kTile)[row],
                       static_cast<const unsigned char*>(from) + row * row_distance, kRowBytes);
  }
  template <int kTile>
  static void store(void* to, std::int64_t row_distance) {
    for (int row = 0; row < kRows; ++row)
      __builtin_memcpy(static_cast<unsigned char*>(to) + row * row_distance, tile(kTile)[row],
                       kRowBytes);
  }
  /// sum[m][n] += left[m][2 i] right[i][2 n] + left[m][2 i + 1] right[i][2 n + 1] over pairs i
  template <int kSum, int kLeft, int kRight>
  static void dot() {
    for (int m = 0; m < kRows; ++m)
      for (int n = 0; n < kRows; ++n) {
        float sum;
        __builtin_memcpy(&sum, tile(kSum)[m] + 4 * n, 4);
        for (int i = 0; i < kRows; ++i)
          for (int half = 0; half < 2; ++half)
            sum += element(kLeft, m, 2 * i + half) * element(kRight, i, 2 * n + half);
        __builtin_memcpy(tile(kSum)[m] + 4 * n, &sum, 4);
      }
  }

 private:
  using Tile = unsigned char (*)[kRowBytes];
  static Tile tile(int index) {
    if (!state().configured) __builtin_trap();
    return state().tile[index];
  }
  static float element(int index, int row, int column) {
    std::uint16_t bits;
    __builtin_memcpy(&bits, tile(index)[row] + 2 * column, 2);
    return float_of(bits);
  }
};

}  // namespace
}  // namespace sparsevid::ops::cpu
