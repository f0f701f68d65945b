#include "ops/ref/band_attention.h"

#include "base/parallel.h"
#include "ops/band_mask.h"
#include "ops/ref/attend_row.h"

namespace sparsevid::ops::ref {

void band_attention(const BandAttentionParams& params, Context& context) {
  const std::int64_t seq_len = params.q.size(1);
  parallel_for(context.threads, params.q.size(0) * seq_len, 16, [&](auto begin, auto end) {
    std::vector<SeenKey> keys;
    for (std::int64_t item = begin; item < end; ++item) {
      const std::int64_t head = item / seq_len;
      const std::int64_t i = item % seq_len;
      const BandMask mask = {params.video_begin, params.frames, params.positions, params.width,
                             params.temporal[head].as<std::uint8_t>()[0] != 0};
      keys.clear();
      for (std::int64_t j = 0; j < seq_len; ++j) {
        if (mask.sees(i, j)) keys.push_back({params.k[head][j], params.v[head][j], 0});
      }
      attend_row(params.q[head][i], keys, params.scale, params.out[head][i]);
    }
  });
}

}  // namespace sparsevid::ops::ref
