#include "ops/patchify.h"

#include "ops/dispatch/cuda_entries.h"
#include "ops/dispatch/patch_contract.h"
#include "ops/ref/patchify.h"

namespace sparsevid::ops {

const ImplementationList<PatchifyParams>& patchify_implementations() {
  // Latents are small: this takes milliseconds of a forward that takes seconds.
  static const auto list = implementations<PatchifyParams>(
      "patchify", {{"ref", never_refuses<PatchifyParams>, ref::patchify}});
  return list;
}

void patchify(const PatchifyParams& params, Context& context) {
  const auto& [video, patch, out] = params;
  require_contract(video.dtype() == DType::f32 && patches_cover(video, patch, out), "patchify",
                   {video, out});
  patchify_implementations().run(params, context);
}

}  // namespace sparsevid::ops
