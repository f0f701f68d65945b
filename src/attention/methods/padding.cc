#include "attention/methods/padding.h"

#include <algorithm>

#include "attention/methods/attend_heads.h"
#include "ops/copy.h"

namespace sparsevid {
namespace {

constexpr int kTokens = 2;  // the axis of [batch, heads, seq_len, head_dim]

struct Kept {
  TokenLayout layout;             // without padding, closed up
  std::vector<Segment> segments;  // where its segments stand in the whole sequence
  std::int64_t length = 0;
  bool contiguous = true;
};

Kept kept_tokens(const TokenLayout& layout) {
  Kept kept;
  kept.layout.grid = layout.grid;
  for (const Segment& segment : layout.segments) {
    if (segment.role == Role::pad || segment.length == 0) continue;
    if (!kept.segments.empty() &&
        kept.segments.back().begin + kept.segments.back().length != segment.begin)
      kept.contiguous = false;
    kept.segments.push_back(segment);
    kept.layout.segments.push_back({segment.role, static_cast<int>(kept.length), segment.length});
    kept.length += segment.length;
  }
  return kept;
}

AttentionCall part_of(const AttentionCall& call, const TokenLayout& layout, std::int64_t begin,
                      std::int64_t length) {
  return {call.q.slice(kTokens, begin, length),
          call.k.slice(kTokens, begin, length),
          call.v.slice(kTokens, begin, length),
          layout,
          call.scale,
          call.layer,
          call.step,
          call.branch};
}

/// The kept tokens of a view, moved together.
TensorView gather(const TensorView& view, const Kept& kept, Context& context) {
  const TensorView packed =
      context.arena.tensor(view.dtype(), {view.size(0), view.size(1), kept.length, view.size(3)});
  for (std::size_t s = 0; s < kept.segments.size(); ++s) {
    const Segment& from = kept.segments[s];
    const Segment& to = kept.layout.segments[s];
    ops::copy(
        {view.slice(kTokens, from.begin, from.length), packed.slice(kTokens, to.begin, to.length)},
        context);
  }
  return packed;
}

}  // namespace

void attend_densely(const AttentionCall& call, const TensorView& out, bool in_8bit,
                    Context& context) {
  attend_without_padding(call, out, context, [&](const AttentionCall& kept, const TensorView& to) {
    const Zone zone(context.profile, "attention.dense");
    for (std::int64_t b = 0; b < kept.q.size(0); ++b)
      attend_heads(kept.q[b], kept.k[b], kept.v[b], to[b], kept.scale, in_8bit, context);
  });
}

void attend_without_padding(const AttentionCall& call, const TensorView& out, Context& context,
                            const Attend& attend) {
  for (const Segment& pad : call.layout.segments) {
    if (pad.role != Role::pad || pad.length == 0) continue;
    const AttentionCall part = part_of(call, call.layout, pad.begin, pad.length);
    const TensorView to = out.slice(kTokens, pad.begin, pad.length);
    for (std::int64_t b = 0; b < part.q.size(0); ++b)
      attend_heads(part.q[b], part.k[b], part.v[b], to[b], part.scale, false, context);
  }
  const Kept kept = kept_tokens(call.layout);
  if (kept.length == 0) return;
  if (kept.contiguous) {
    const std::int64_t begin = kept.segments.front().begin;
    attend(part_of(call, kept.layout, begin, kept.length), out.slice(kTokens, begin, kept.length));
    return;
  }
  const Arena::Scope scope(context.arena);
  const TensorView packed_out =
      context.arena.tensor(out.dtype(), {out.size(0), out.size(1), kept.length, out.size(3)});
  const AttentionCall packed{gather(call.q, kept, context),
                             gather(call.k, kept, context),
                             gather(call.v, kept, context),
                             kept.layout,
                             call.scale,
                             call.layer,
                             call.step,
                             call.branch};
  attend(packed, packed_out);
  for (std::size_t s = 0; s < kept.segments.size(); ++s) {
    const Segment& from = kept.layout.segments[s];
    const Segment& to = kept.segments[s];
    ops::copy({packed_out.slice(kTokens, from.begin, from.length),
               out.slice(kTokens, to.begin, to.length)},
              context);
  }
}

}  // namespace sparsevid
