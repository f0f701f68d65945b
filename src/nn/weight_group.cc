#include "nn/weight_group.h"

#include <algorithm>

namespace sparsevid::nn {

std::size_t WeightGroup::bytes_of(const Shape& shape, DType kept, bool scaled) {
  const std::size_t weight = aligned(static_cast<std::size_t>(shape.numel()) * size_of(kept));
  return scaled ? weight + aligned(static_cast<std::size_t>(shape[0]) * sizeof(float)) : weight;
}

void WeightGroup::add(const TensorView& stored, DType kept, TensorView& destination,
                      TensorView* scale) {
  weights.push_back({&stored, &destination, scale, kept, bytes});
  bytes += bytes_of(stored.shape(), kept, scale != nullptr);
}

bool WeightGroup::converts() const {
  return std::any_of(weights.begin(), weights.end(),
                     [](const PlacedWeight& weight) { return weight.converted(); });
}

TensorView WeightGroup::view(const PlacedWeight& weight, std::byte* memory, Device device) {
  return {memory + weight.offset, weight.kept, weight.stored->shape(), device};
}

TensorView WeightGroup::scale_view(const PlacedWeight& weight, std::byte* memory, Device device) {
  if (weight.scale == nullptr) return {};
  const TensorView values = view(weight, memory, device);
  return {static_cast<std::byte*>(values.data()) + aligned(values.bytes()),
          DType::f32,
          {values.size(0)},
          device};
}

void WeightGroup::bind(std::byte* memory, Device device) const {
  for (const PlacedWeight& weight : weights) {
    *weight.destination = view(weight, memory, device);
    if (weight.scale != nullptr) *weight.scale = scale_view(weight, memory, device);
  }
}

}  // namespace sparsevid::nn
