// Weights of more blocks than a GPU holds: in page-locked host memory, brought to a few places on
// the GPU in turn, each while blocks before it compute.
#pragma once

#include <cstddef>
#include <vector>

#include "core/context.h"
#include "core/copy_queue.h"
#include "core/locked_memory.h"
#include "nn/weight_group.h"
#include "nn/weight_mover.h"

namespace sparsevid::nn {

/// Copies come from a queue of their own; events order them against the work that uses a place.
/// The host never waits.
class WeightStream {
 public:
  /// Places on the device: one is used while the other is filled.
  static constexpr std::size_t kPlaces = 2;
  static std::size_t places_for(std::size_t blocks) { return blocks < kPlaces ? blocks : kPlaces; }

  /// Reads the groups, sets their destinations, and begins with the first.
  WeightStream(std::vector<const WeightGroup*> blocks, WeightMover& mover, Context& context);

  /// What is queued from now on finds block `index` in its place.
  void begin(std::size_t index, Context& context);
  /// What uses the block is queued: its place may take the next one.
  void end(std::size_t index, Context& context);

  std::size_t host_bytes() const;
  std::size_t device_bytes() const { return memory_->bytes(); }

 private:
  struct Place {
    explicit Place(Device device) : arrived(device), left(device) {}
    std::byte* memory = nullptr;
    std::size_t holds = 0;  // which block it has, or will have when the queued copy is done
    StreamMark arrived;     // the copy into it
    StreamMark left;        // the last work that uses what it holds
  };
  Place& place_of(std::size_t index) { return places_[index % places_.size()]; }
  void fetch(std::size_t index);

  std::vector<const WeightGroup*> blocks_;
  std::vector<LockedMemory> host_;
  Tensor memory_;
  std::vector<Place> places_;
  CopyQueue queue_;  // last: what is under way ends before its memory does
};

}  // namespace sparsevid::nn
