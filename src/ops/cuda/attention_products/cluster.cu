// Block-sparse attention as products: keys of clusters that are not chosen are masked, the means
// behind all keys where their cluster is.
#include "ops/cuda/attention_products/attention_products.h"
#include "ops/cuda/attention_products/product_attention.h"

namespace sparsevid::ops::cuda {
namespace {

/// labels[token] = cluster; blockIdx.x is a cluster, blockIdx.y a head.
__global__ void label_tokens(const std::int32_t* order, std::int64_t order_stride,
                             const std::int32_t* offsets, std::int64_t offsets_stride, int count,
                             int* labels) {
  const std::int32_t* range = offsets + blockIdx.y * offsets_stride + blockIdx.x;
  for (int place = range[0] + static_cast<int>(threadIdx.x); place < range[1];
       place += static_cast<int>(blockDim.x))
    labels[static_cast<std::int64_t>(blockIdx.y) * count +
           order[blockIdx.y * order_stride + place]] = static_cast<int>(blockIdx.x);
}

int* labels_of(const TensorView& order, const TensorView& offsets, Context& context) {
  const std::int64_t heads = order.size(0);
  int* labels = context.arena.array<int>(order.numel());
  const dim3 grid(static_cast<unsigned>(offsets.size(1) - 1), static_cast<unsigned>(heads));
  if (order.numel() == 0 || grid.x == 0) return labels;
  label_tokens<<<grid, 128, 0, stream_of(context)>>>(
      device_pointer<const std::int32_t>(order), order.stride(0),
      device_pointer<const std::int32_t>(offsets), offsets.stride(0),
      static_cast<int>(order.size(1)), labels);
  check_launch("block_sparse_attention: labels");
  return labels;
}

/// Keys of the chosen clusters, and the means of the others behind all keys.
struct MaskedByClusters {
  const int* q_labels;
  const int* k_labels;
  int q_len, k_len;
  const std::int32_t* k_offsets;
  std::int64_t k_offsets_stride;
  const std::uint8_t* chosen;
  std::int64_t chosen_strides[2];

  __device__ float operator()(int head, int query, int key, float logit) const {
    const bool is_mean = key >= k_len;
    const int q_cluster = q_labels[static_cast<std::int64_t>(head) * q_len + query];
    const int cluster =
        is_mean ? key - k_len : k_labels[static_cast<std::int64_t>(head) * k_len + key];
    const bool is_chosen =
        chosen[head * chosen_strides[0] + q_cluster * chosen_strides[1] + cluster] != 0;
    if (is_chosen == is_mean) return -INFINITY;
    if (!is_mean) return logit;
    const std::int32_t* range = k_offsets + head * k_offsets_stride + cluster;
    return range[0] == range[1] ? -INFINITY : logit + logf(static_cast<float>(range[1] - range[0]));
  }
};

}  // namespace

std::string block_sparse_attention_products_refusal(const BlockSparseAttentionParams& params,
                                                    const Context&) {
  return unless_on_gpu(params.q);
}

void block_sparse_attention_products(const BlockSparseAttentionParams& params, Context& context) {
  if (params.out.numel() == 0) return;
  const Arena::Scope scope(context.arena);
  const MaskedByClusters masked{labels_of(params.q_order, params.q_offsets, context),
                                labels_of(params.k_order, params.k_offsets, context),
                                static_cast<int>(params.q.size(1)),
                                static_cast<int>(params.k.size(1)),
                                device_pointer<const std::int32_t>(params.k_offsets),
                                params.k_offsets.stride(0),
                                device_pointer<const std::uint8_t>(params.chosen),
                                {params.chosen.stride(0), params.chosen.stride(1)}};
  product_attention(
      {params.q, params.k, params.v, params.k_mean, params.v_mean, params.out, params.scale},
      masked, context);
}

}  // namespace sparsevid::ops::cuda
