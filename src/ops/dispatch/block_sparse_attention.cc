#include "ops/block_sparse_attention_8bit.h"

#include "ops/cpu/block_sparse_attention.h"
#include "ops/dispatch/attention_contract.h"
#include "ops/dispatch/attention_entries.h"
#include "ops/dispatch/cuda_entries.h"
#include "ops/ref/block_sparse_attention.h"

namespace sparsevid::ops {
namespace {

bool is_table(const TensorView& view, DType dtype, const Shape& shape) {
  return view.defined() && view.dtype() == dtype && view.shape() == shape &&
         (shape[-1] <= 1 || view.stride(-1) == 1);
}

bool fits(const BlockSparseAttentionParams& params) {
  const auto& [q, k, v, q_order, k_order, q_offsets, k_offsets, chosen, k_mean, v_mean, takes_means,
               scale, out] = params;
  if (!is_attention(q, k, v, out)) return false;
  if (!chosen.defined() || chosen.rank() != 3 || k_mean.defined() != v_mean.defined()) return false;
  if (takes_means && (!k_mean.defined() || q.device() != Device::cpu)) return false;
  const std::int64_t heads = q.size(0);
  const std::int64_t q_clusters = chosen.size(1);
  const std::int64_t k_clusters = chosen.size(2);
  const Shape means = {heads, k_clusters, q.size(2)};
  if (k_mean.defined() &&
      (!is_table(k_mean, DType::f32, means) || !is_table(v_mean, DType::f32, means)))
    return false;
  return is_table(chosen, DType::u8, {heads, q_clusters, k_clusters}) &&
         is_table(q_order, DType::i32, {heads, q.size(1)}) &&
         is_table(k_order, DType::i32, {heads, k.size(1)}) &&
         is_table(q_offsets, DType::i32, {heads, q_clusters + 1}) &&
         is_table(k_offsets, DType::i32, {heads, k_clusters + 1});
}

void require_fit(const BlockSparseAttentionParams& params, std::string_view op) {
  require_contract(fits(params), op,
                   {params.q, params.k, params.v, params.q_order, params.k_order, params.q_offsets,
                    params.k_offsets, params.chosen, params.k_mean, params.v_mean, params.out});
}

}  // namespace

const ImplementationList<BlockSparseAttentionParams>& block_sparse_attention_implementations() {
  static const auto list = implementations<BlockSparseAttentionParams>(
      "block_sparse_attention",
      attention_entries<BlockSparseAttentionParams, cpu::block_sparse_attention>(
          ref::block_sparse_attention));
  return list;
}

void block_sparse_attention(const BlockSparseAttentionParams& params, Context& context) {
  require_fit(params, "block_sparse_attention");
  block_sparse_attention_implementations().run(params, context);
}

const ImplementationList<BlockSparseAttention8bitParams>&
block_sparse_attention_8bit_implementations() {
  using Params = BlockSparseAttention8bitParams;
  static const auto list = implementations<Params>(
      "block_sparse_attention_8bit",
      {{"ref", never_refuses<Params>, [](const Params& params, Context& context) {
          ref::block_sparse_attention(params, context);
        }}});
  return list;
}

void block_sparse_attention_8bit(const BlockSparseAttention8bitParams& params, Context& context) {
  require_fit(params, "block_sparse_attention_8bit");
  block_sparse_attention_8bit_implementations().run(params, context);
}

}  // namespace sparsevid::ops
