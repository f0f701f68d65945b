// Peak signal-to-noise ratio of 8-bit pictures.
#pragma once

#include "io/image_io.h"

namespace sparsevid {

/// Mean squared difference over all pixels and the three channels, in squared 8-bit levels.
/// Throws Error(bad_input) when the sizes differ.
double mean_squared_error(const Image& a, const Image& b);

/// 10 log10(255^2 / mse) in dB; infinity for 0.
double psnr_of_mse(double mse);

}  // namespace sparsevid
