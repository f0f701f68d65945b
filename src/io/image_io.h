// Still images: 8-bit RGB in memory, PNG files out, PNG / JPEG / WebP / BMP files in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace sparsevid {

/// 8-bit RGB, rows from the top, three bytes a pixel, no padding between rows.
struct Image {
  int width = 0;
  int height = 0;
  std::vector<std::uint8_t> rgb;  // [height, width, 3]

  Image() = default;
  Image(int w, int h) : width(w), height(h), rgb(static_cast<std::size_t>(w) * h * 3) {}
  std::uint8_t* row(int y) { return rgb.data() + stride() * y; }
  const std::uint8_t* row(int y) const { return rgb.data() + stride() * y; }
  std::ptrdiff_t stride() const { return static_cast<std::ptrdiff_t>(width) * 3; }
};

/// Keys and values in UTF-8: prompt, seed, settings.
using Metadata = std::map<std::string, std::string>;

/// Writes a PNG, lossless; `metadata` goes into a tEXt chunk named Comment, as a JSON object.
/// The file appears under its name only when complete.
/// Throws Error(bad_input) for a folder that is missing or not writable, Error(io) when writing
/// fails.
void write_png(const std::filesystem::path& path, const std::uint8_t* rgb, int width, int height,
               std::ptrdiff_t stride, const Metadata& metadata = {});
void write_png(const std::filesystem::path& path, const Image& image,
               const Metadata& metadata = {});

/// Reads a picture as 8-bit RGB: grey and palettes are expanded, 16 bit is rounded, alpha dropped.
/// The text stored by write_png lands in `metadata` when that is not null.
/// Throws Error(bad_file) when the file is missing, broken, or of another format.
Image read_image(const std::filesystem::path& path, Metadata* metadata = nullptr);

}  // namespace sparsevid
