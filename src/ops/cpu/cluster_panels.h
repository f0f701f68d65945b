// Centroids in the layout that the cluster kernels multiply with, and scratch of each thread.
#pragma once

#include <cstdint>
#include <string>

#include "base/cpu_features.h"
#include "core/context.h"
#include "core/tensor.h"
#include "ops/cpu/cluster_kernel.h"

namespace sparsevid::ops::cpu {

/// Why the kernel that needs `isa` cannot run here on inputs of this type; empty when it can.
std::string cluster_refusal(CpuIsa isa, DType dtype);

/// Element `d` of a row as a kernel packs it.
float element_of(const std::uint32_t* words, std::int64_t d, bool is_bf16);

/// Rows of a [rows, head_dim] view.
struct SourceRows {
  explicit SourceRows(const TensorView& matrix)
      : data(static_cast<const std::byte*>(matrix.data())),
        stride(matrix.stride(0)),
        is_bf16(matrix.dtype() == DType::bf16) {}
  const void* row(std::int64_t i) const {
    return data + i * stride * static_cast<std::int64_t>(is_bf16 ? sizeof(bf16) : sizeof(float));
  }
  /// Asks for a row that is packed a block later: rows of one head lie far apart in memory.
  void prefetch(std::int64_t i, std::int64_t size) const {
    constexpr std::int64_t kLine = 64;
    const auto* bytes = static_cast<const std::byte*>(row(i));
    const std::int64_t length =
        size * static_cast<std::int64_t>(is_bf16 ? sizeof(bf16) : sizeof(float));
    for (std::int64_t b = 0; b < length; b += kLine) __builtin_prefetch(bytes + b);
  }

  const std::byte* data;
  std::int64_t stride;  ///< in elements
  bool is_bf16;
};

/// The centroids of one head minus a common center, packed. Subtracting the center changes neither
/// which centroid is nearest nor a softmax over centroids, and keeps the precision of bf16 for what
/// tells centroids apart: keys of real models have a large mean.
class ClusterPanels {
 public:
  ClusterPanels(const ClusterKernel& kernel, std::int64_t clusters, std::int64_t head_dim,
                Arena& arena);

  /// Packs centroids [clusters, head_dim]; those with usable[c] == 0 do not count for the center.
  void pack(const float* centroids, const std::uint8_t* usable);
  /// Sets bias so that bias[c] - x . (c - center) is |x - c|^2 / 2 up to a term of x alone, for any
  /// x; infinity for columns that are no usable centroid.
  void set_distance_bias(const std::uint8_t* usable);

  int columns() const { return panel_count_ * kPanel; }
  int words() const { return words_; }
  float* bias() { return bias_; }
  /// products[r * columns() + c] = rows[r] . (centroid c - center)
  void product(const std::uint32_t* rows, int row_count, float* products) const {
    kernel_->product({rows, words_, 1}, row_count, panels_, panel_count_, words_, products);
  }

 private:
  const ClusterKernel* kernel_;
  std::int64_t clusters_;
  std::int64_t head_dim_;
  int words_;
  int panel_count_;
  std::uint32_t* panels_;
  float* bias_;
  float* center_;
  std::uint32_t* row_;
  float* centered_;
};

/// A block of packed rows and its products, for each thread.
class BlockScratch {
 public:
  BlockScratch(std::int64_t words, std::int64_t columns, int threads, Arena& arena);
  std::uint32_t* rows(int thread) const { return rows_ + thread * row_words_; }
  float* products(int thread) const { return products_ + thread * product_floats_; }

 private:
  std::int64_t row_words_;
  std::int64_t product_floats_;
  std::uint32_t* rows_;
  float* products_;
};

}  // namespace sparsevid::ops::cpu
