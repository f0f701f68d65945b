// Inputs for the tests of attention methods.
#pragma once

#include <array>
#include <cmath>
#include <vector>

#include "attention/attention_method.h"
#include "attention/methods/sparse_method.h"
#include "testing/random_tensor.h"

namespace sparsevid {

struct ExampleShape {
  const char* name = "";
  std::int64_t batch = 1;
  std::int64_t heads = 2;
  std::array<int, 3> grid = {4, 5, 6};
  int text_before = 0;
  int text_after = 0;
  int pad_after = 0;
  std::int64_t head_dim = 16;
  DType dtype = DType::f32;
  bool constant = false;  ///< all queries, keys and values equal
};

/// Queries, keys and values as models hold them, [batch, seq_len, heads, head_dim] in memory, with
/// smooth structure over the grid so that clusters exist.
class AttentionExample {
 public:
  explicit AttentionExample(const ExampleShape& shape, std::uint64_t seed = 1) : shape_(shape) {
    layout_.grid = shape.grid;
    add_segment(Role::text, shape.text_before);
    add_segment(Role::video, shape.grid[0] * shape.grid[1] * shape.grid[2]);
    add_segment(Role::text, shape.text_after);
    add_segment(Role::pad, shape.pad_after);
    for (int i = 0; i < 3; ++i) inputs_[i] = make(seed + static_cast<std::uint64_t>(i));
    out_ = constant_tensor(inputs_[0]->shape(), -77, shape.dtype);
  }

  AttentionCall call(int step = 0, int layer = 0, int branch = 0) const {
    return {view(inputs_[0]),
            view(inputs_[1]),
            view(inputs_[2]),
            layout_,
            scale(),
            layer,
            step,
            branch};
  }
  TensorView out() const { return view(out_); }
  double scale() const { return 1 / std::sqrt(static_cast<double>(shape_.head_dim)); }
  const TokenLayout& layout() const { return layout_; }

  /// What a sparse method sees of one element of the batch; only for shapes without padding.
  HeadsCall heads(int batch = 0, int step = 0, int layer = 0, int branch = 0) const {
    Segment video{};
    for (const auto& segment : layout_.segments)
      if (segment.role == Role::video) video = segment;
    const AttentionCall c = call(step, layer, branch);
    return {c.q[batch], c.k[batch], c.v[batch], out()[batch], layout_.grid, video,
            c.scale,    layer,      step,       branch,       batch};
  }

 private:
  static TensorView view(const Tensor& tensor) { return tensor->transpose(1, 2); }

  void add_segment(Role role, int length) {
    if (length == 0) return;
    layout_.segments.push_back({role, tokens_, length});
    tokens_ += length;
  }

  Tensor make(std::uint64_t seed) const {
    const Shape extents{shape_.batch, tokens_, shape_.heads, shape_.head_dim};
    if (shape_.constant) return constant_tensor(extents, .5, shape_.dtype);
    Tensor values = random_tensor(extents, seed, DType::f32, {.scale = .5});
    const Tensor centers =
        random_tensor({12, shape_.head_dim}, seed + 100, DType::f32, {.scale = 1.5});
    const std::int64_t rows = extents.numel() / shape_.head_dim;
    for (std::int64_t r = 0; r < rows; ++r)
      for (std::int64_t d = 0; d < shape_.head_dim; ++d)
        values->as<float>()[r * shape_.head_dim + d] +=
            centers->as<float>()[r / 7 % 12 * shape_.head_dim + d];
    return convert(values, shape_.dtype);
  }

  ExampleShape shape_;
  TokenLayout layout_;
  int tokens_ = 0;
  Tensor inputs_[3];
  Tensor out_;
};

/// Softmax attention in double of every query over the keys it sees, [heads, seq_len, head_dim].
/// `logit_bias(head, i, j)` is added to the logits; -inf hides a key.
template <typename LogitBias>
Tensor exact_attention(const TensorView& q, const TensorView& k, const TensorView& v, double scale,
                       const LogitBias& logit_bias) {
  Tensor out(DType::f64, q.shape());
  const auto qs = to_vector(q);
  const auto ks = to_vector(k);
  const auto vs = to_vector(v);
  const std::int64_t tokens = k.size(1);
  const std::int64_t dim = q.size(2);
  for (std::int64_t h = 0; h < q.size(0); ++h)
    for (std::int64_t i = 0; i < q.size(1); ++i) {
      std::vector<double> sum(static_cast<std::size_t>(dim));
      double total = 0;
      for (std::int64_t j = 0; j < tokens; ++j) {
        double dot = 0;
        for (std::int64_t d = 0; d < dim; ++d)
          dot += qs[(h * q.size(1) + i) * dim + d] * ks[(h * tokens + j) * dim + d];
        const double weight = std::exp(scale * dot + logit_bias(h, i, j));
        total += weight;
        for (std::int64_t d = 0; d < dim; ++d) sum[d] += weight * vs[(h * tokens + j) * dim + d];
      }
      for (std::int64_t d = 0; d < dim; ++d)
        out.view()[h][i].as<double>()[d] = total > 0 ? sum[d] / total : 0;
    }
  return out;
}

/// Tolerance of an output against double: sums of f32, or inputs rounded to bf16 (2^-9) with
/// weights and output rounded as well.
inline double output_tolerance(DType dtype) { return dtype == DType::bf16 ? 1e-2 : 2e-5; }

}  // namespace sparsevid
