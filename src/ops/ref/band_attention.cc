#include "ops/ref/band_attention.h"

#include <cstdlib>

#include "base/parallel.h"
#include "ops/ref/attend_row.h"

namespace sparsevid::ops::ref {
namespace {

bool sees(const BandAttentionParams& params, bool temporal, std::int64_t i, std::int64_t j) {
  const std::int64_t video = static_cast<std::int64_t>(params.frames) * params.positions;
  i -= params.video_begin;
  j -= params.video_begin;
  if (i < 0 || i >= video || j < 0 || j >= video) return true;
  if (j < params.positions) return true;
  const auto place = [&](std::int64_t token) {
    return temporal ? token % params.positions * params.frames + token / params.positions : token;
  };
  return std::abs(place(i) - place(j)) <= params.width;
}

}  // namespace

void band_attention(const BandAttentionParams& params, Context& context) {
  const std::int64_t seq_len = params.q.size(1);
  parallel_for(context.threads, params.q.size(0) * seq_len, 16, [&](auto begin, auto end) {
    std::vector<SeenKey> keys;
    for (std::int64_t item = begin; item < end; ++item) {
      const std::int64_t head = item / seq_len;
      const std::int64_t i = item % seq_len;
      const bool temporal = params.temporal[head].as<std::uint8_t>()[0] != 0;
      keys.clear();
      for (std::int64_t j = 0; j < seq_len; ++j) {
        if (sees(params, temporal, i, j)) keys.push_back({params.k[head][j], params.v[head][j], 0});
      }
      attend_row(params.q[head][i], keys, params.scale, params.out[head][i]);
    }
  });
}

}  // namespace sparsevid::ops::ref
