// The weights a model has taken from a checkpoint, and the use of those that are not always there.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include "core/context.h"
#include "core/tensor.h"
#include "nn/weight_group.h"
#include "nn/weight_mover.h"
#include "nn/weight_stream.h"

namespace sparsevid::nn {

class LoadedWeights {
 public:
  /// While it lives, work that is queued finds the weights of the group.
  class Use {
   public:
    Use(LoadedWeights& weights, int group, Context& context);
    ~Use();
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;

   private:
    LoadedWeights& weights_;
    std::size_t group_;
    Context& context_;
    std::optional<Arena::Scope> scratch_;  // what passing weights lie in
  };
  [[nodiscard]] Use use(int group, Context& context) { return {*this, group, context}; }

  /// Memory of weights that could not be used where the file is mapped.
  std::vector<Tensor> owned;
  std::size_t mapped_bytes = 0;
  std::size_t owned_bytes = 0;  ///< on the model's device
  std::size_t host_bytes() const { return stream_ ? stream_->host_bytes() : 0; }
  std::size_t bytes() const { return mapped_bytes + owned_bytes; }

 private:
  friend class WeightTable;
  std::vector<WeightGroup> groups_;
  std::vector<std::size_t> place_in_stream_;  // by group
  std::unique_ptr<WeightMover> mover_;
  std::unique_ptr<WeightStream> stream_;
};

}  // namespace sparsevid::nn
