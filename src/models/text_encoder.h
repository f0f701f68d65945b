// Token ids to hidden states.
#pragma once

#include <cstddef>
#include <span>

#include "core/context.h"
#include "core/tensor.h"

namespace sparsevid {

class TextEncoder {
 public:
  virtual ~TextEncoder() = default;
  virtual int dim() const = 0;
  virtual std::size_t weight_bytes() const = 0;
  virtual std::size_t workspace_bytes(int tokens) const = 0;
  /// `ids` are the true tokens, without padding; returns [ids.size(), dim] f32.
  virtual Tensor encode(std::span<const int> ids, Context& context) = 0;
};

}  // namespace sparsevid
