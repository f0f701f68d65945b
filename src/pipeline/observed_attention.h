// An attention method with its time taken, its calls counted, and cancellation between calls.
#pragma once

#include "attention/attention_method.h"
#include "pipeline/progress.h"

namespace sparsevid {

/// The zone of self-attention, everything included.
constexpr std::string_view kAttentionZone = "self_attention";

class ObservedAttention final : public AttentionMethod {
 public:
  /// `calls_per_step`: layers times branches.
  ObservedAttention(AttentionMethod& method, int calls_per_step, ProgressReporter& progress)
      : method_(method), calls_per_step_(calls_per_step), progress_(progress) {}

  void run(const AttentionCall& call, const TensorView& out, Context& context) override {
    context.check_cancelled();
    {
      const Zone zone(context.profile, kAttentionZone);
      method_.run(call, out, context);
    }
    calls_ = calls_ % calls_per_step_ + 1;
    if (calls_ < calls_per_step_) progress_.within(static_cast<double>(calls_) / calls_per_step_);
  }

  const AttentionStats& stats() const override { return method_.stats(); }

 private:
  AttentionMethod& method_;
  int calls_per_step_;
  int calls_ = 0;
  ProgressReporter& progress_;
};

}  // namespace sparsevid
