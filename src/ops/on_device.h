// The parameters of an op with their tensors copied to a GPU.
#pragma once

#include "core/staged_memory.h"
#include "ops/tensor_fields.h"

namespace sparsevid::ops {

template <typename Params>
class OnDevice {
 public:
  /// Uploads all tensors of `params`, which view host memory.
  explicit OnDevice(const Params& params) : params_(params) {
    for_each_tensor(params_, [&](TensorView& view) { memory_.add(view); });
    if constexpr (requires { params_.weight->plain; }) memory_.add(params_.weight->plain);
    memory_.upload();
    for_each_tensor(params_, [&](TensorView& view) { view = memory_.staged(view); });
    if constexpr (requires { params_.weight->plain; }) {
      weight_.plain = memory_.staged(params_.weight->plain);
      weight_.products = params_.weight->products;
      params_.weight = &weight_;
    }
  }
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;

  const Params& params() const { return params_; }
  /// Writes what the GPU changed into the host's tensors.
  void download() const { memory_.download(); }

 private:
  Params params_;
  StagedMemory memory_;
  ConvWeight weight_;
};

}  // namespace sparsevid::ops
