// Tables of the rotary position embedding over frames, height and width.
#pragma once

#include <array>

#include "core/tensor.h"

namespace sparsevid::nn {

/// How many of a head's channels each axis rotates: height and width 2 floor(head_dim / 6) each,
/// time the rest (44, 42, 42 for 128), as Wan splits them.
std::array<int, 3> rope_axis_dims(int head_dim);

/// Fills cos and sin, [grid[0] grid[1] grid[2], sum(axis_dims) / 2] f32, for tokens in order
/// (frame, row, column): pair k of an axis of d channels turns by position * theta^(-2k/d). In
/// double.
void rope_tables(const std::array<int, 3>& grid, const std::array<int, 3>& axis_dims, double theta,
                 const TensorView& cos, const TensorView& sin);

}  // namespace sparsevid::nn
