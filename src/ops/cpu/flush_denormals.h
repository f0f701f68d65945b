// Results too small for a normal float are zero, for as long as an object of this class lives.
#pragma once

#include <xmmintrin.h>

namespace sparsevid::ops::cpu {
namespace {

/// Weights far below the largest are such floats, and Intel's CPUs take some 150 cycles for each:
/// a softmax over logits that spread by more than 2^126 took 40 times as long.
class FlushDenormals {
 public:
  FlushDenormals() : before_(_mm_getcsr()) {
    constexpr unsigned kFlushToZero = 0x8000;
    _mm_setcsr(before_ | kFlushToZero);
  }
  ~FlushDenormals() { _mm_setcsr(before_); }
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;

 private:
  unsigned before_;
};

}  // namespace
}  // namespace sparsevid::ops::cpu
