// For the asm statements of wgmma.h, wide_wgmma.h and their like, which name every sum.
#pragma once

/// Eight registers of array `d` from `i` on, read and written; c: f or r, their constraint.
#define SPARSEVID_EIGHT(c, d, i)                                                        \
  "+" #c(d[i]), "+" #c(d[i + 1]), "+" #c(d[i + 2]), "+" #c(d[i + 3]), "+" #c(d[i + 4]), \
      "+" #c(d[i + 5]), "+" #c(d[i + 6]), "+" #c(d[i + 7])
