// What the tokens of a sequence are: stated by the model, never guessed by a method.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace sparsevid {

enum class Role : std::uint8_t { video, text, pad };

struct Segment {
  Role role;
  int begin;
  int length;
};

struct TokenLayout {
  std::array<int, 3> grid;        ///< frames, height, width of the video part, in tokens
  std::vector<Segment> segments;  ///< cover [0, seq_len) without gaps; pad attends only to itself
};

}  // namespace sparsevid
