#include "nn/weight_mover.h"

#include <algorithm>

#include "core/cuda_runtime.h"
#include "ops/copy.h"
#include "ops/quantize_rows.h"

namespace sparsevid::nn {

WeightMover::WeightMover(const Context& context) {
  if (context.device == Device::cuda) stage_.emplace(context);
}

void WeightMover::convert(const TensorView& from, const TensorView& to, const TensorView& scale,
                          Context& context) {
  if (scale.defined()) {
    ops::quantize_rows({.x = from, .out = to, .scale = scale}, context);
  } else {
    ops::copy({from, to}, context);
  }
}

void WeightMover::bring_weight(const PlacedWeight& weight, std::byte* memory, Context& context) {
  const TensorView& from = *weight.stored;
  const TensorView to = WeightGroup::view(weight, memory, context.device);
  const TensorView scale = WeightGroup::scale_view(weight, memory, context.device);
  if (!stage_) {
    if (weight.converted()) {
      convert(from, to, scale, context);
    } else {
      copy_on_host(to.data(), from.data(), from.bytes(), context.threads);
    }
    return;
  }
  if (!weight.converted()) {
    stage_->copy(from, to);
    return;
  }
  // Rows at a time: the stored weight may be larger than what is left of the memory.
  const std::int64_t rows = from.size(0);
  const std::size_t row_bytes = from.bytes() / static_cast<std::size_t>(rows);
  const auto at_once =
      std::clamp<std::int64_t>(static_cast<std::int64_t>(kConversionBytes / row_bytes), 1, rows);
  const Arena::Scope scope(context.arena);
  void* raw = context.arena.allocate(static_cast<std::size_t>(at_once) * row_bytes);
  for (std::int64_t row = 0; row < rows; row += at_once) {
    const std::int64_t count = std::min(at_once, rows - row);
    const TensorView piece = from.slice(0, row, count);
    const TensorView as_stored(raw, from.dtype(), piece.shape(), context.device);
    stage_->copy(piece, as_stored);
    convert(as_stored, to.slice(0, row, count),
            scale.defined() ? scale.slice(0, row, count) : scale, context);
  }
}

void WeightMover::bring(const WeightGroup& group, std::byte* memory, Context& context) {
  for (const PlacedWeight& weight : group.weights) {
    context.check_cancelled();
    bring_weight(weight, memory, context);
  }
}

void WeightMover::bring_to_host(const WeightGroup& group, std::byte* host, std::byte* device_memory,
                                Context& context) {
  for (const PlacedWeight& weight : group.weights) {
    context.check_cancelled();
    if (!stage_) {
      bring_weight(weight, host, context);
    } else if (!weight.converted()) {
      copy_on_host(host + weight.offset, weight.stored->data(), weight.stored->bytes(),
                   context.threads);
    } else {
      bring_weight(weight, device_memory, context);
      cuda_runtime::copy_without_waiting(
          host + weight.offset, device_memory + weight.offset,
          WeightGroup::bytes_of(weight.stored->shape(), weight.kept, weight.scale != nullptr),
          context.stream);
    }
  }
}

}  // namespace sparsevid::nn
