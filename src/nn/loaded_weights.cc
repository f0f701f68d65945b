#include "nn/loaded_weights.h"

namespace sparsevid::nn {

LoadedWeights::Use::Use(LoadedWeights& weights, int group, Context& context)
    : weights_(weights), group_(static_cast<std::size_t>(group)), context_(context) {
  const WeightGroup& used = weights_.groups_.at(group_);
  switch (used.residence) {
    case Residence::resident:
      break;
    case Residence::passing: {
      scratch_.emplace(context.arena);
      auto* memory = static_cast<std::byte*>(context.arena.allocate(used.bytes));
      weights_.mover_->bring(used, memory, context);
      used.bind(memory, context.device);
      break;
    }
    case Residence::streamed:
      weights_.stream_->begin(weights_.place_in_stream_[group_], context);
      break;
  }
}

LoadedWeights::Use::~Use() {
  if (weights_.groups_[group_].residence != Residence::streamed) return;
  try {
    weights_.stream_->end(weights_.place_in_stream_[group_], context_);
  } catch (...) {
    // A device that failed is found again by whoever waits for it.
  }
}

}  // namespace sparsevid::nn
