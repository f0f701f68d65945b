#include "ops/ref/attention.h"

#include "base/parallel.h"
#include "ops/ref/attend_row.h"

namespace sparsevid::ops::ref {

void attention(const AttentionParams& params, Context& context) {
  const std::int64_t q_len = params.q.size(1);
  const std::int64_t k_len = params.k.size(1);
  parallel_for(context.threads, params.q.size(0) * q_len, 16, [&](auto begin, auto end) {
    std::vector<SeenKey> keys(static_cast<std::size_t>(k_len));
    for (std::int64_t item = begin; item < end; ++item) {
      const std::int64_t head = item / q_len;
      const std::int64_t i = item % q_len;
      for (std::int64_t j = 0; j < k_len; ++j) {
        double bias = 0;
        if (params.bias.defined())
          bias += params.bias.as<float>()[head * params.bias.stride(0) + i * params.bias.stride(1) +
                                          j * params.bias.stride(2)];
        if (params.key_bias.defined()) bias += params.key_bias[j].as<float>()[0];
        keys[static_cast<std::size_t>(j)] = {params.k[head][j], params.v[head][j], bias};
      }
      attend_row(params.q[head][i], keys, params.scale, params.out[head][i]);
    }
  });
}

}  // namespace sparsevid::ops::ref
