#include "ops/band_profile.h"

#include "ops/cpu/band_profile.h"
#include "ops/cpu/cluster_panels.h"
#include "ops/dispatch/cluster_contract.h"
#include "ops/dispatch/cuda_entries.h"
#include "ops/ref/band_profile.h"

namespace sparsevid::ops {

namespace {

// A profile is small: f32 inside serves every type.
template <CpuIsa kIsa>
std::string refusal(const BandProfileParams&, const Context&) {
  return cpu::cluster_refusal(kIsa, DType::f32);
}

}  // namespace

const ImplementationList<BandProfileParams>& band_profile_implementations() {
  static const auto list = implementations<BandProfileParams>(
      "band_profile",
      {{"avx512", refusal<CpuIsa::avx512>,
        [](const auto& p, auto& c) { cpu::band_profile(cpu::kClusterAvx512, p, c); }},
       {"avx2", refusal<CpuIsa::avx2>,
        [](const auto& p, auto& c) { cpu::band_profile(cpu::kClusterAvx2, p, c); }},
       {"ref", never_refuses<BandProfileParams>, ref::band_profile}});
  return list;
}

void band_profile(const BandProfileParams& params, Context& context) {
  const auto& [q, k, v, rows, video_begin, frames, positions, width, scale, errors, temporal] =
      params;
  const std::int64_t video = static_cast<std::int64_t>(frames) * positions;
  require_contract(
      is_heads_of_rows(q) && is_heads_of_rows(k) && is_heads_of_rows(v) &&
          same_shape_and_dtype(q, k) && same_shape_and_dtype(q, v) && rows.rank() == 2 &&
          is_index_rows(rows, q.size(0), rows.size(1)) && video_begin >= 0 &&
          video_begin + video <= q.size(1) && errors.rank() == 2 && errors.dtype() == DType::f32 &&
          errors.shape() == Shape{q.size(0), 2} &&
          (!temporal.defined() || (temporal.dtype() == DType::u8 &&
                                   temporal.shape() == Shape{q.size(0)} && temporal.contiguous())),
      "band_profile", {q, k, v, rows, errors});
  band_profile_implementations().run(params, context);
}

}  // namespace sparsevid::ops
