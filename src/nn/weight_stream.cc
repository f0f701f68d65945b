#include "nn/weight_stream.h"

#include <algorithm>

namespace sparsevid::nn {

WeightStream::WeightStream(std::vector<const WeightGroup*> blocks, WeightMover& mover,
                           Context& context)
    : blocks_(std::move(blocks)), queue_(context.device) {
  std::size_t largest = 0;
  for (const WeightGroup* block : blocks_) largest = std::max(largest, block->bytes);
  const std::size_t places = places_for(blocks_.size());
  memory_ = Tensor(DType::u8, {static_cast<std::int64_t>(places * largest)}, context.device);
  for (std::size_t i = 0; i < places; ++i) {
    places_.emplace_back(context.device);
    places_.back().memory = static_cast<std::byte*>(memory_->data()) + i * largest;
  }
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    std::byte* place = place_of(i).memory;
    host_.emplace_back(blocks_[i]->bytes, context.device, context);
    mover.bring_to_host(*blocks_[i], host_.back().data(), place, context);
    blocks_[i]->bind(place, context.device);
  }
  wait_for(context.device, context.stream);
  for (std::size_t i = 0; i < places; ++i) fetch(i);
}

void WeightStream::fetch(std::size_t index) {
  Place& place = place_of(index);
  place.left.hold_up(queue_.stream());
  queue_.copy(place.memory, host_[index].data(), blocks_[index]->bytes);
  place.arrived.set(queue_.stream());
  place.holds = index;
}

void WeightStream::begin(std::size_t index, Context& context) {
  // Another block is there when the pass before this one was not finished.
  if (place_of(index).holds != index) fetch(index);
  place_of(index).arrived.hold_up(context.stream);
}

void WeightStream::end(std::size_t index, Context& context) {
  place_of(index).left.set(context.stream);
  const std::size_t next = index + places_.size();
  // After the last block of a place comes its first, of the next pass.
  const std::size_t after = next < blocks_.size() ? next : index % places_.size();
  if (after != index) fetch(after);
}

std::size_t WeightStream::host_bytes() const {
  std::size_t sum = 0;
  for (const LockedMemory& memory : host_) sum += memory.bytes();
  return sum;
}

}  // namespace sparsevid::nn
