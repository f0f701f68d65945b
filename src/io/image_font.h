// A 5 x 7 bitmap font for the labels of contact sheets.
#pragma once

#include <cstdint>
#include <string_view>

#include "io/image_io.h"

namespace sparsevid {

inline constexpr int kGlyphWidth = 5;
inline constexpr int kGlyphHeight = 7;
inline constexpr int kDescent = 2;  // rows below the line, used by g, p, q and y
inline constexpr int kLineHeight = kGlyphHeight + kDescent;
inline constexpr int kGlyphAdvance = kGlyphWidth + 1;

/// Pixels that `text` takes from left to right, each font pixel drawn as scale x scale.
int text_width(std::string_view text, int scale);

/// Draws `text` with its upper left corner at (left, top), clipped to the image. Printable ASCII;
/// any other byte becomes '?'.
void draw_text(Image& image, int left, int top, std::string_view text, int scale,
               std::uint8_t grey);

}  // namespace sparsevid
