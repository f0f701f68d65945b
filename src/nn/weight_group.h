// Weights that are used together and lie in one piece of memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/tensor.h"

namespace sparsevid::nn {

/// Where a group's weights are while they are not in use.
enum class Residence : std::uint8_t {
  resident,  ///< where they are used, for good
  passing,   ///< in the checkpoint's files alone: for what is used once
  streamed,  ///< in page-locked host memory, from where they come ahead of their use, in every step
};

struct PlacedWeight {
  const TensorView* stored;  ///< in the mapped file
  TensorView* destination;
  TensorView* scale;   ///< where to set the scales; null unless kept in fp8
  DType kept;          ///< the type it is kept in
  std::size_t offset;  ///< in the group's memory
  bool converted() const { return kept != stored->dtype(); }
};

struct WeightGroup {
  Residence residence = Residence::resident;
  std::vector<PlacedWeight> weights;
  std::size_t bytes = 0;

  /// Each weight begins where the widest loads want it.
  static std::size_t aligned(std::size_t bytes) {
    constexpr std::size_t kAlignment = 256;
    return (bytes + kAlignment - 1) / kAlignment * kAlignment;
  }
  /// What a weight of this shape and type takes, its scales included.
  static std::size_t bytes_of(const Shape& shape, DType kept, bool scaled);

  void add(const TensorView& stored, DType kept, TensorView& destination, TensorView* scale);
  bool converts() const;
  /// A weight and its scales in memory that holds the group; scales are undefined where there are
  /// none.
  static TensorView view(const PlacedWeight& weight, std::byte* memory, Device device);
  static TensorView scale_view(const PlacedWeight& weight, std::byte* memory, Device device);
  /// Sets all destinations.
  void bind(std::byte* memory, Device device) const;
};

}  // namespace sparsevid::nn
