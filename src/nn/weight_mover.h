// Weights from mapped files to where and in which type they are used.
#pragma once

#include <cstddef>
#include <optional>

#include "core/context.h"
#include "core/host_to_device.h"
#include "nn/weight_group.h"

namespace sparsevid::nn {

/// Scratch that a conversion takes on a GPU at most, unless a single row is larger.
constexpr std::size_t kConversionBytes = std::size_t{64} << 20;

class WeightMover {
 public:
  explicit WeightMover(const Context& context);

  /// Fills the memory of a group on the context's device, in the order of its stream.
  void bring(const WeightGroup& group, std::byte* memory, Context& context);
  /// Fills host memory with the group; on a GPU, what has to be converted is converted there, in
  /// `device_memory` of the group's size. Arrived when the stream has been waited for.
  void bring_to_host(const WeightGroup& group, std::byte* host, std::byte* device_memory,
                     Context& context);

  /// `from` into the type of `to`, which is fp8 where `scale` is defined.
  static void convert(const TensorView& from, const TensorView& to, const TensorView& scale,
                      Context& context);

 private:
  void bring_weight(const PlacedWeight& weight, std::byte* memory, Context& context);

  std::optional<HostToDevice> stage_;  // to a GPU
};

}  // namespace sparsevid::nn
