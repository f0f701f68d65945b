// Token ids to hidden states.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "core/context.h"
#include "core/tensor.h"

namespace sparsevid {

class TextEncoder {
 public:
  virtual ~TextEncoder() = default;
  virtual int dim() const = 0;
  virtual std::size_t weight_bytes() const = 0;
  /// `ids`: the true tokens of each prompt, without padding; the result has the states of each,
  /// [tokens, dim] f32.
  virtual std::vector<Tensor> encode(std::span<const std::vector<int>> ids, Context& context) = 0;
};

}  // namespace sparsevid
