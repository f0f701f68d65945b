// Runs a CUDA implementation on host tensors: what they view is moved to the GPU and back. This is
// how every table of cases checks the GPU's kernels; nothing in a run goes this way.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "core/context.h"
#include "core/tensor.h"
#include "ops/dispatch/tensor_fields.h"

namespace sparsevid::ops {

/// SPARSEVID_HOST_TENSORS_ON=cuda, which asks for this.
bool host_tensors_go_to_cuda();

/// The memory of a set of host views, overlapping ones together, and its copy on the GPU.
class StagedMemory {
 public:
  void add(const TensorView& view);
  /// Allocates and uploads all that was added.
  void upload();
  /// The same view of the copy.
  TensorView staged(const TensorView& view) const;
  /// Writes back what the GPU changed; inputs may be read-only memory.
  void download() const;

 private:
  struct Span {
    std::byte* begin;
    std::byte* end;
    Tensor memory;
    std::size_t offset = 0;  // so that the copy is aligned as the original
  };
  std::vector<Span> spans_;
};

template <typename Params>
void run_staged(void (*run)(const Params&, Context&), const Params& params) {
  static Context context(Device::cuda);
  Params staged = params;
  StagedMemory memory;
  for_each_tensor(staged, [&](TensorView& view) { memory.add(view); });
  ConvWeight weight;
  if constexpr (requires { staged.weight->plain; }) memory.add(staged.weight->plain);
  memory.upload();
  for_each_tensor(staged, [&](TensorView& view) { view = memory.staged(view); });
  if constexpr (requires { staged.weight->plain; }) {
    weight.plain = memory.staged(staged.weight->plain);
    staged.weight = &weight;
  }
  run(staged, context);
  wait_for(Device::cuda, context.stream);
  memory.download();
}

}  // namespace sparsevid::ops
