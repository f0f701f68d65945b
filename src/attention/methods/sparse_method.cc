#include "attention/methods/sparse_method.h"

#include <algorithm>

#include "attention/methods/attend_heads.h"
#include "attention/methods/padding.h"
#include "core/transfer.h"
#include "ops/copy.h"

namespace sparsevid {
namespace {

/// The video segment; of length 0 unless there is exactly one.
Segment video_segment(const TokenLayout& layout) {
  Segment video{Role::video, 0, 0};
  for (const Segment& segment : layout.segments) {
    if (segment.role != Role::video) continue;
    if (video.length > 0) return {Role::video, 0, 0};
    video = segment;
  }
  return video;
}

HeadsCall heads_call(const AttentionCall& call, const TensorView& out, const Segment& video,
                     int batch, bool in_8bit) {
  return {call.q[batch],    call.k[batch], call.v[batch], out[batch],
          call.layout.grid, video,         call.scale,    call.layer,
          call.step,        call.branch,   batch,         in_8bit};
}

/// The view itself on the CPU; from a GPU a contiguous copy, which `memory` owns.
TensorView rows_on_cpu(const TensorView& view, Tensor& memory, Context& context) {
  if (view.device() == Device::cpu) return view;
  const Arena::Scope scope(context.arena);
  const TensorView packed = context.arena.tensor(view.dtype(), view.shape());
  ops::copy({view, packed}, context);
  return view_on(Device::cpu, packed, memory, context);
}

}  // namespace

void attend_densely(const HeadsCall& call, Context& context) {
  const Zone zone(context.profile, "attention.dense");
  attend_heads(call.q, call.k, call.v, call.out, call.scale, call.in_8bit, context);
}

SparseMethod::SparseMethod(const AttentionOptions& options, const AttentionFacts& facts)
    : options_(options),
      policy_(options.dense_steps, facts.steps, options.dense_layers, facts.layers) {
  stats_.method = options.method;
}

void SparseMethod::prepare(const HeadsCall&, Context&) {}

void SparseMethod::run(const AttentionCall& call, const TensorView& out, Context& context) {
  const Segment whole_video = video_segment(call.layout);
  const bool everything = options_.density == 1.0 || options_.top_p == 1.0;
  const bool sparse_layer = !everything && whole_video.length >= std::max(1, options_.min_tokens) &&
                            !policy_.dense_layer(call.layer);
  const bool dense = !sparse_layer || policy_.dense(call.step, call.layer);
  stats_.calls.push_back({call.step, call.layer, call.branch, dense, {}});
  attend_without_padding(call, out, context, [&](const AttentionCall& kept, const TensorView& to) {
    const Segment video = video_segment(kept.layout);
    for (int batch = 0; batch < kept.q.size(0); ++batch) {
      const HeadsCall heads = heads_call(kept, to, video, batch, options_.in_8bit);
      {
        const Zone zone(context.profile, "attention");
        if (dense) {
          attend_densely(heads, context);
          if (sparse_layer) prepare(heads, context);
          continue;
        }
        run_heads(heads, context);
      }
      if (options_.quality_rows == 0) continue;
      const Zone zone(context.profile, "attention_quality");
      wait_for(context.device, context.stream);
      readback_.finish();
      Tensor q;
      Tensor k;
      Tensor v;
      Tensor found;
      measure_quality(
          {rows_on_cpu(heads.q, q, context), rows_on_cpu(heads.k, k, context),
           rows_on_cpu(heads.v, v, context), rows_on_cpu(heads.out, found, context), heads.scale},
          options_.quality_rows, options_.seed,
          [&](auto head, auto query, auto key) { return computed(head, query, key); },
          stats_.quality);
    }
  });
}

}  // namespace sparsevid
