// out = softmax(adjusted logits) v by two products, in pieces of bounded size.
#pragma once

#include <algorithm>

#include "ops/cuda/attention_mma/head_rows.h"
#include "ops/cuda/attention_products/bf16_product.h"
#include "ops/cuda/attention_products/float_product.h"
#include "ops/cuda/attention_products/float_rows.h"
#include "ops/cuda/attention_products/softmax_rows.h"

namespace sparsevid::ops::cuda {

struct ProductAttention {
  TensorView q, k, v;         ///< as in attention.h
  TensorView k_tail, v_tail;  ///< [heads, tail, head_dim] f32: more keys behind k; or undefined
  TensorView out;             ///< f32 or bf16
  double scale;
};

/// Logits of this many bytes at a time.
constexpr std::int64_t kLogitBytes = std::int64_t{256} << 20;
/// Rows of a piece come in whole tiles of the products.
constexpr std::int64_t kPieceRows = 128;

inline TensorView head_range(const TensorView& view, std::int64_t first, std::int64_t count) {
  return view.defined() ? view.slice(0, first, count) : view;
}

/// bf16 rows wider than attention_mma takes; the others that it refuses are odd in other ways.
inline bool products_in_bf16(const ProductAttention& p) {
  return !p.k_tail.defined() && mma_refusal(p.q, p.k, p.v, p.v, 1, INT32_MAX).empty();
}

/// `adjust(head, query, key, scaled logit)` gives the logit in base e; runs on the device.
template <class Adjust>
class ProductAttentionRun {
 public:
  ProductAttentionRun(const ProductAttention& p, const Adjust& adjust, Context& context)
      : p_(p),
        adjust_(adjust),
        context_(context),
        stream_(stream_of(context)),
        columns_(p.k.size(1) + (p.k_tail.defined() ? p.k_tail.size(1) : 0)),
        stride_(ceil_div<std::int64_t>(std::max<std::int64_t>(columns_, 1), 8) * 8) {}

  void run() {
    if (p_.out.numel() == 0) return;
    const std::int64_t heads = p_.q.size(0);
    const std::int64_t q_len = p_.q.size(1);
    const std::int64_t budget_rows =
        std::max(kLogitBytes / static_cast<std::int64_t>(sizeof(float)) / stride_, kPieceRows);
    const std::int64_t heads_at_once =
        std::clamp<std::int64_t>(budget_rows / q_len, 1, std::min<std::int64_t>(heads, 65535));
    const std::int64_t pieces = ceil_div(q_len, std::min(q_len, budget_rows));
    const std::int64_t rows_at_once =
        std::min(q_len, ceil_div(ceil_div(q_len, pieces), kPieceRows) * kPieceRows);
    for (std::int64_t head = 0; head < heads; head += heads_at_once) {
      const Arena::Scope scope(context_.arena);
      const std::int64_t count = std::min(heads_at_once, heads - head);
      if (products_in_bf16(p_)) {
        run_bf16(head, count, rows_at_once);
      } else {
        run_f32(head, count, rows_at_once);
      }
    }
  }

 private:
  void run_f32(std::int64_t head, std::int64_t heads, std::int64_t rows_at_once) {
    const std::int64_t q_len = p_.q.size(1);
    const std::int64_t width = ceil_div<std::int64_t>(p_.q.size(2), 4) * 4;
    const FloatRows keys = keys_as_floats(p_.k, p_.k_tail, head, heads, width);
    const FloatRows values = keys_as_floats(p_.v, p_.v_tail, head, heads, width);
    float* query_data = context_.arena.array<float>(heads * rows_at_once * width);
    float* logits = context_.arena.array<float>(heads * rows_at_once * stride_);
    float* factors = context_.arena.array<float>(heads * rows_at_once);
    for (std::int64_t row = 0; row < q_len; row += rows_at_once) {
      const std::int64_t rows = std::min(rows_at_once, q_len - row);
      const FloatRows queries{query_data, width, rows * width};
      copy_rows(p_.q.slice(0, head, heads).slice(1, row, rows), heads, rows, query_data, queries, 0,
                stream_);
      const TensorView all_logits(logits, DType::f32, {heads, rows, columns_},
                                  {rows * stride_, stride_, 1}, Device::cuda);
      if (columns_ > 0)
        float_product({queries, keys, false, all_logits, static_cast<int>(width), nullptr},
                      stream_);
      softmax_rows(logit_rows(logits, factors, head, row, rows), logits, static_cast<int>(heads),
                   adjust_, stream_);
      float_product({{logits, stride_, rows * stride_},
                     values,
                     true,
                     p_.out.slice(0, head, heads).slice(1, row, rows),
                     static_cast<int>(stride_),
                     factors},
                    stream_);
    }
  }

  /// Keys and what follows them, then rows of zeros up to the stride of the logits.
  FloatRows keys_as_floats(const TensorView& rows, const TensorView& tail, std::int64_t head,
                           std::int64_t heads, std::int64_t width) {
    float* data = context_.arena.array<float>(heads * stride_ * width);
    const FloatRows result{data, width, stride_ * width};
    const std::int64_t k_len = rows.size(1);
    copy_rows(head_range(rows, head, heads), heads, k_len, data, result, 0, stream_);
    copy_rows(head_range(tail, head, heads), heads, columns_ - k_len, data, result, k_len, stream_);
    copy_rows({}, heads, stride_ - columns_, data, result, columns_, stream_);
    return result;
  }

  void run_bf16(std::int64_t head, std::int64_t heads, std::int64_t rows_at_once) {
    const std::int64_t q_len = p_.q.size(1);
    float* logits = context_.arena.array<float>(heads * rows_at_once * stride_);
    auto* weights = context_.arena.array<device_bf16>(heads * rows_at_once * stride_);
    float* factors = context_.arena.array<float>(heads * rows_at_once);
    for (std::int64_t row = 0; row < q_len; row += rows_at_once) {
      const std::int64_t rows = std::min(rows_at_once, q_len - row);
      const Shape shape{heads, rows, columns_};
      const Shape strides{rows * stride_, stride_, 1};
      if (columns_ > 0)
        bf16_product({p_.q.slice(0, head, heads).slice(1, row, rows), p_.k.slice(0, head, heads),
                      false, TensorView(logits, DType::f32, shape, strides, Device::cuda), nullptr},
                     stream_);
      softmax_rows(logit_rows(logits, factors, head, row, rows), weights, static_cast<int>(heads),
                   adjust_, stream_);
      bf16_product({TensorView(weights, DType::bf16, shape, strides, Device::cuda),
                    p_.v.slice(0, head, heads), true,
                    p_.out.slice(0, head, heads).slice(1, row, rows), factors},
                   stream_);
    }
  }

  LogitRows logit_rows(float* logits, float* factors, std::int64_t head, std::int64_t row,
                       std::int64_t rows) const {
    return {logits,
            stride_,
            static_cast<int>(columns_),
            static_cast<int>(rows),
            static_cast<int>(head),
            static_cast<int>(row),
            static_cast<float>(p_.scale),
            factors};
  }

  const ProductAttention& p_;
  Adjust adjust_;
  Context& context_;
  cudaStream_t stream_;
  std::int64_t columns_;
  std::int64_t stride_;  // of a row of logits
};

template <class Adjust>
void product_attention(const ProductAttention& p, const Adjust& adjust, Context& context) {
  ProductAttentionRun<Adjust>(p, adjust, context).run();
}

inline std::string unless_on_gpu(const TensorView& q) {
  return q.device() == Device::cuda ? "" : "not on a GPU";
}

}  // namespace sparsevid::ops::cuda
