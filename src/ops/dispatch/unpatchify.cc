#include "ops/unpatchify.h"

#include "ops/dispatch/cuda_entries.h"
#include "ops/dispatch/patch_contract.h"
#include "ops/ref/unpatchify.h"

namespace sparsevid::ops {

const ImplementationList<UnpatchifyParams>& unpatchify_implementations() {
  // Latents are small: this takes milliseconds of a forward that takes seconds.
  static const auto list = implementations<UnpatchifyParams>(
      "unpatchify", {{"ref", never_refuses<UnpatchifyParams>, ref::unpatchify}});
  return list;
}

void unpatchify(const UnpatchifyParams& params, Context& context) {
  const auto& [rows, patch, video] = params;
  require_contract((video.dtype() == DType::f32 || video.dtype() == rows.dtype()) &&
                       patches_cover(video, patch, rows),
                   "unpatchify", {rows, video});
  unpatchify_implementations().run(params, context);
}

}  // namespace sparsevid::ops
