#include "attention/methods/spatiotemporal.h"

#include <algorithm>
#include <cmath>

#include "core/transfer.h"
#include "ops/band_attention.h"
#include "ops/band_density.h"
#include "ops/band_mask.h"
#include "ops/band_profile.h"
#include "ops/kmeans_seed.h"

namespace sparsevid {

std::int64_t band_width(double density, std::int64_t tokens, std::int64_t text_tokens) {
  const auto all = static_cast<double>(tokens);
  const double left = density - 2 * static_cast<double>(text_tokens) / all;
  if (left <= 0) return 0;
  const double video = all - static_cast<double>(text_tokens);
  return static_cast<std::int64_t>(std::ceil(video * (1 - std::sqrt(1 - std::min(left, 1.0)))));
}

void SpatiotemporalAttention::profile(const HeadsCall& call, std::int64_t width,
                                      const TensorView& temporal, Context& context) const {
  const Zone zone(context.profile, "attention.score");
  const Arena::Scope scope(context.arena);
  const std::int64_t samples = std::min(options().profile_rows, call.video.length);
  Tensor rows(DType::i32, {call.heads(), samples});
  std::uint64_t seed = options().seed;
  for (const int part : {call.layer, call.branch, call.batch, call.step})
    seed = ops::mix_bits(seed ^ static_cast<std::uint64_t>(part));
  for (std::int64_t head = 0; head < call.heads(); ++head) {
    for (std::int64_t r = 0; r < samples; ++r) {
      const auto row = ops::kmeans_seed_row(seed, head, r, samples, call.video.length);
      rows.view()[head].as<std::int32_t>()[r] = static_cast<std::int32_t>(call.video.begin + row);
    }
  }
  const TensorView errors = context.arena.tensor(DType::f32, {call.heads(), 2});
  const TensorView sampled = context.arena.tensor(DType::i32, rows->shape());
  transfer(rows, sampled, context);
  ops::band_profile({call.q, call.k, call.v, sampled, call.video.begin, call.grid[0],
                     call.grid[1] * call.grid[2], width, call.scale, errors, temporal},
                    context);
}

void SpatiotemporalAttention::run_heads(const HeadsCall& call, Context& context) {
  const Arena::Scope scope(context.arena);
  const std::int64_t frames = call.grid[0];
  const std::int64_t positions = static_cast<std::int64_t>(call.grid[1]) * call.grid[2];
  const std::int64_t width =
      band_width(options().density.value_or(1), call.tokens(), call.text_tokens());
  const double spatial_density =
      ops::band_density(frames, positions, width, call.text_tokens(), false);
  const double temporal_density =
      ops::band_density(frames, positions, width, call.text_tokens(), true);
  const TensorView temporal = context.arena.tensor(DType::u8, {call.heads()});
  if (spatial_density == 1 && temporal_density == 1) {
    clear(temporal, context);
    attend_densely(call, context);
  } else {
    profile(call, width, temporal, context);
    const Zone zone(context.profile, "attention.kernel");
    ops::band_attention({call.q, call.k, call.v, call.video.begin, static_cast<int>(frames),
                         static_cast<int>(positions), temporal, width, call.scale, call.out},
                        context);
  }
  if (options().quality_rows > 0) last_temporal_ = copy_to(Device::cpu, temporal, context);
  last_video_ = call.video;
  last_frames_ = frames;
  last_width_ = width;
  readback().read(
      temporal, context,
      [heads = density_slot(), spatial_density, temporal_density](const TensorView& kinds) {
        for (std::int64_t head = 0; head < kinds.numel(); ++head)
          heads().push_back(kinds.as<std::uint8_t>()[head] == 0 ? spatial_density
                                                                : temporal_density);
      });
}

bool SpatiotemporalAttention::computed(std::int64_t head, std::int64_t query,
                                       std::int64_t key) const {
  const ops::BandMask mask{last_video_.begin, last_frames_, last_video_.length / last_frames_,
                           last_width_, last_temporal_->as<std::uint8_t>()[head] != 0};
  return mask.sees(query, key);
}

}  // namespace sparsevid
