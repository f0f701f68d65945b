#include "ops/unpatchify.h"

#include "ops/dispatch/contract.h"
#include "ops/dispatch/cuda_entries.h"
#include "ops/ref/unpatchify.h"

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

const ImplementationList<UnpatchifyParams>& unpatchify_implementations() {
  // Latents are small: this takes milliseconds of a forward that takes seconds.
  static const auto list = implementations<UnpatchifyParams>(
      "unpatchify", {{"ref", never_refuses<UnpatchifyParams>, ref::unpatchify}});
  return list;
}

void unpatchify(const UnpatchifyParams& params, Context& context) {
  const auto& [rows, patch, video] = params;
  require_contract(video.rank() == 4 &&
                       (video.dtype() == DType::f32 || video.dtype() == rows.dtype()) &&
                       is_matrix(rows) && patches_cover(video, patch, rows),
                   "unpatchify", {rows, video});
  unpatchify_implementations().run(params, context);
}

}  // namespace sparsevid::ops
