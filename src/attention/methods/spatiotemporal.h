// SVG1 (arXiv 2502.01776): every head sees a band, over space or over time.
#pragma once

#include "attention/methods/sparse_method.h"

namespace sparsevid {

class SpatiotemporalAttention : public SparseMethod {
 public:
  using SparseMethod::SparseMethod;

 protected:
  void run_heads(const HeadsCall& call, Context& context) override;
  bool computed(std::int64_t head, std::int64_t query, std::int64_t key) const override;

 private:
  /// Names the band of each head: 0 spatial, 1 temporal.
  void profile(const HeadsCall& call, std::int64_t width, const TensorView& temporal,
               Context& context) const;

  // For computed(): the bands of the last call.
  Tensor last_temporal_;
  Segment last_video_{};
  std::int64_t last_frames_ = 1;
  std::int64_t last_width_ = 0;
};

/// Half the width of the band for a density (methods.md, spatiotemporal 4): N (1 - sqrt(1 - s')) of
/// the video's N tokens, with s' what is left of the density after the text's share; at least 0.
std::int64_t band_width(double density, std::int64_t tokens, std::int64_t text_tokens);

}  // namespace sparsevid
