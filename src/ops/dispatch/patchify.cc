#include "ops/patchify.h"

#include "ops/dispatch/contract.h"
#include "ops/dispatch/cuda_entries.h"
#include "ops/ref/patchify.h"

namespace sparsevid::ops {

namespace {

bool patches_cover(const TensorView& video, const std::array<int, 3>& patch,
                   const TensorView& rows) {
  const std::int64_t volume = std::int64_t{patch[0]} * patch[1] * patch[2];
  return volume > 0 && video.size(1) % patch[0] == 0 && video.size(2) % patch[1] == 0 &&
         video.size(3) % patch[2] == 0 && rows.size(1) == video.size(0) * volume &&
         rows.numel() == video.numel();
}

}  // namespace

const ImplementationList<PatchifyParams>& patchify_implementations() {
  // Latents are small: this takes milliseconds of a forward that takes seconds.
  static const auto list = implementations<PatchifyParams>(
      "patchify", {{"ref", never_refuses<PatchifyParams>, ref::patchify}});
  return list;
}

void patchify(const PatchifyParams& params, Context& context) {
  const auto& [video, patch, out] = params;
  require_contract(video.rank() == 4 && video.dtype() == DType::f32 && is_matrix(out) &&
                       patches_cover(video, patch, out),
                   "patchify", {video, out});
  patchify_implementations().run(params, context);
}

}  // namespace sparsevid::ops
