#include "ops/ref/block_sparse_attention.h"

#include <cmath>

#include "base/parallel.h"
#include "ops/ref/attend_row.h"
#include "ops/ref/cluster_statistics.h"

namespace sparsevid::ops::ref {
namespace {

std::vector<SeenKey> keys_seen(const BlockSparseAttentionParams& params, std::int64_t head,
                               std::int64_t q_cluster) {
  const TensorView order = params.k_order[head];
  const TensorView offsets = params.k_offsets[head];
  const TensorView chosen = params.chosen[head][q_cluster];
  std::vector<SeenKey> keys;
  for (std::int64_t c = 0; c < chosen.size(0); ++c) {
    const std::int32_t begin = offsets[c].as<std::int32_t>()[0];
    const std::int32_t end = offsets[c + 1].as<std::int32_t>()[0];
    if (begin == end) continue;
    if (chosen[c].as<std::uint8_t>()[0] != 0) {
      for (std::int32_t place = begin; place < end; ++place) {
        const std::int32_t token = order[place].as<std::int32_t>()[0];
        keys.push_back({params.k[head][token], params.v[head][token], 0});
      }
    } else if (params.k_mean.defined()) {
      keys.push_back({params.k_mean[head][c], params.v_mean[head][c], std::log(end - begin)});
    }
  }
  return keys;
}

}  // namespace

void block_sparse_attention(const BlockSparseAttentionParams& params, Context& context) {
  if (params.takes_means) {
    cluster_statistics({params.k, params.k_order, params.k_offsets, params.k_mean, {}}, context);
    cluster_statistics({params.v, params.k_order, params.k_offsets, params.v_mean, {}}, context);
  }
  const std::int64_t clusters = params.chosen.size(1);
  parallel_for(context.threads, params.q.size(0) * clusters, 1, [&](auto item, auto) {
    const std::int64_t head = item / clusters;
    const std::int64_t cluster = item % clusters;
    const std::vector<SeenKey> keys = keys_seen(params, head, cluster);
    const TensorView offsets = params.q_offsets[head];
    const std::int32_t end = offsets[cluster + 1].as<std::int32_t>()[0];
    for (std::int32_t place = offsets[cluster].as<std::int32_t>()[0]; place < end; ++place) {
      const std::int32_t token = params.q_order[head][place].as<std::int32_t>()[0];
      attend_row(params.q[head][token], keys, params.scale, params.out[head][token]);
    }
  });
}

}  // namespace sparsevid::ops::ref
