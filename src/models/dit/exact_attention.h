// Plain dense attention as an AttentionMethod, so that models are tested without knowing a method.
#pragma once

#include "attention/attention_method.h"
#include "ops/attention.h"

namespace sparsevid {

class ExactAttention final : public AttentionMethod {
 public:
  void run(const AttentionCall& call, const TensorView& out, Context& context) override {
    for (std::int64_t batch = 0; batch < call.q.size(0); ++batch) {
      ops::attention({.q = call.q[batch],
                      .k = call.k[batch],
                      .v = call.v[batch],
                      .out = out[batch],
                      .scale = call.scale},
                     context);
    }
  }
  const AttentionStats& stats() const override { return stats_; }

 private:
  AttentionStats stats_;
};

}  // namespace sparsevid
