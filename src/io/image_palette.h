// A picture in 256 colours: the palette that GIF needs.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace sparsevid {

/// Opaque colours as 0xffRRGGBB.
using Palette = std::array<std::uint32_t, 256>;

/// Chooses 256 colours for the picture, by cutting the box of its colour histogram that has the
/// largest squared error, at its mean, until there are 256; writes for each pixel its index, errors
/// diffused after Floyd and Steinberg.
/// rgb: [height, width, 3], rows `stride` bytes apart; indices: rows `index_stride` bytes apart.
void quantize_to_palette(const std::uint8_t* rgb, std::ptrdiff_t stride, int width, int height,
                         Palette& palette, std::uint8_t* indices, std::ptrdiff_t index_stride);

}  // namespace sparsevid
