// Structural similarity of 8-bit pictures.
#pragma once

#include "io/image_io.h"

namespace sparsevid {

/// Mean SSIM of the luma (BT.601 weights .299, .587, .114, range 0..255) after Wang, Bovik, Sheikh
/// and Simoncelli 2004: Gaussian window 11 x 11 of sigma 1.5, K1 = .01, K2 = .03, population
/// variances, averaged over the positions whose window lies inside. The same as scikit-image's with
/// gaussian_weights, sigma = 1.5, use_sample_covariance = False, data_range = 255 on that luma.
/// Throws Error(bad_input) when the sizes differ or are below 11 x 11.
double ssim(const Image& a, const Image& b, int threads = 1);

}  // namespace sparsevid
