#include "ops/cpu/cluster_panels.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <limits>

namespace sparsevid::ops::cpu {
float element_of(const std::uint32_t* words, std::int64_t d, bool is_bf16) {
  if (!is_bf16) return std::bit_cast<float>(words[d]);
  const std::uint32_t word = words[d / 2];
  return std::bit_cast<float>(d % 2 == 0 ? word << 16 : word & 0xffff0000U);
}

std::string cluster_refusal(CpuIsa isa, DType dtype) {
  if (cpu_isa() < isa)
    return fmt::format("needs {}, may use {}", to_string(isa), to_string(cpu_isa()));
  if (dtype != DType::bf16 && isa >= CpuIsa::avx512_bf16)
    return fmt::format("is for bf16, not {}", to_string(dtype));
  return {};
}

ClusterPanels::ClusterPanels(const ClusterKernel& kernel, std::int64_t clusters,
                             std::int64_t head_dim, Arena& arena)
    : kernel_(&kernel),
      clusters_(clusters),
      head_dim_(head_dim),
      words_(kernel.words(static_cast<int>(head_dim))),
      panel_count_(static_cast<int>((clusters + kPanel - 1) / kPanel)),
      panels_(arena.array<std::uint32_t>(std::int64_t{panel_count_} * kPanel * words_)),
      bias_(arena.array<float>(columns())),
      center_(arena.array<float>(head_dim)),
      row_(arena.array<std::uint32_t>(words_)),
      centered_(arena.array<float>(head_dim)) {}

void ClusterPanels::pack(const float* centroids, const std::uint8_t* usable) {
  std::fill_n(center_, head_dim_, 0.F);
  float count = 0;
  for (std::int64_t c = 0; c < clusters_; ++c) {
    if (usable[c] == 0) continue;
    ++count;
    for (std::int64_t d = 0; d < head_dim_; ++d) center_[d] += centroids[c * head_dim_ + d];
  }
  for (std::int64_t d = 0; d < head_dim_; ++d) center_[d] /= std::max(count, 1.F);
  for (std::int64_t c = 0; c < columns(); ++c) {
    std::uint32_t* column = panels_ + c / kPanel * words_ * kPanel + c % kPanel;
    if (c < clusters_) {
      for (std::int64_t d = 0; d < head_dim_; ++d)
        centered_[d] = centroids[c * head_dim_ + d] - center_[d];
      kernel_->pack_row(centered_, false, static_cast<int>(head_dim_), words_, row_);
    } else {
      std::fill_n(row_, words_, 0U);
    }
    for (int w = 0; w < words_; ++w) column[std::int64_t{w} * kPanel] = row_[w];
  }
}

void ClusterPanels::set_distance_bias(const std::uint8_t* usable) {
  for (std::int64_t c = 0; c < columns(); ++c) {
    bias_[c] = std::numeric_limits<float>::infinity();
    if (c >= clusters_ || usable[c] == 0) continue;
    const std::uint32_t* column = panels_ + c / kPanel * words_ * kPanel + c % kPanel;
    for (int w = 0; w < words_; ++w) row_[w] = column[std::int64_t{w} * kPanel];
    // The norm of the centroid as it was rounded, so that the comparison is exact for it.
    double sum = 0;
    for (std::int64_t d = 0; d < head_dim_; ++d) {
      const double value = element_of(row_, d, kernel_->is_bf16);
      sum += value * (value / 2 + center_[d]);
    }
    bias_[c] = static_cast<float>(sum);
  }
}

BlockScratch::BlockScratch(std::int64_t words, std::int64_t columns, int threads, Arena& arena)
    : row_words_(words * kClusterBlock),
      product_floats_(columns * kClusterBlock),
      rows_(arena.array<std::uint32_t>(row_words_ * threads)),
      products_(arena.array<float>(product_floats_ * threads)) {}

}  // namespace sparsevid::ops::cpu
