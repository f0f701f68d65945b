// Dense attention as products, with any bias.
#include "ops/cuda/attention_products/attention_products.h"
#include "ops/cuda/attention_products/product_attention.h"

namespace sparsevid::ops::cuda {
namespace {

struct DenseBiases {
  const float* bias;  ///< of [head, query, key], or null
  std::int64_t strides[3];
  const float* key_bias;  ///< or null
  std::int64_t key_bias_stride;

  __device__ float operator()(int head, int query, int key, float logit) const {
    if (bias != nullptr) logit += bias[head * strides[0] + query * strides[1] + key * strides[2]];
    return key_bias == nullptr ? logit : logit + key_bias[key * key_bias_stride];
  }
};

}  // namespace

std::string attention_products_refusal(const AttentionParams& params, const Context&) {
  return unless_on_gpu(params.q);
}

void attention_products(const AttentionParams& params, Context& context) {
  DenseBiases biases{};
  if (params.bias.defined()) {
    biases.bias = device_pointer<const float>(params.bias);
    for (int axis = 0; axis < 3; ++axis) biases.strides[axis] = params.bias.stride(axis);
  }
  if (params.key_bias.defined()) {
    biases.key_bias = device_pointer<const float>(params.key_bias);
    biases.key_bias_stride = params.key_bias.stride(0);
  }
  product_attention({params.q, params.k, params.v, {}, {}, params.out, params.scale}, biases,
                    context);
}

}  // namespace sparsevid::ops::cuda
