// Runs a CUDA implementation on host tensors: what they view is moved to the GPU and back. This is
// how every table of cases checks the GPU's kernels; nothing in a run goes this way.
#pragma once

#include "core/context.h"
#include "ops/on_device.h"

namespace sparsevid::ops {

/// SPARSEVID_HOST_TENSORS_ON=cuda, which asks for this.
bool host_tensors_go_to_cuda();

template <typename Params>
void run_staged(void (*run)(const Params&, Context&), const Params& params) {
  static Context context(Device::cuda);
  const OnDevice<Params> staged(params);
  run(staged.params(), context);
  wait_for(Device::cuda, context.stream);
  staged.download();
}

}  // namespace sparsevid::ops
