// One pass over contiguous elements, 16 bytes of the narrowest input at a time.
//
// Bound: memory. A thread loads everything of its kUnroll packs before it computes: with 2048
// threads that is 100 KiB and more in flight on each multiprocessor, where 25 KiB cover the
// latency.
#pragma once

#include <algorithm>
#include <cstdint>

#include "ops/cuda/common/launch.h"

namespace sparsevid::ops::cuda {

constexpr int kElementwiseThreads = 256;
constexpr int kElementwiseUnroll = 4;

/// `Body` has a type `Inputs<kWidth>`, `load(begin, inputs)` and `finish(begin, inputs)` for the
/// kWidth elements from `begin` on.
template <int kWidth, typename Body>
__global__ void __launch_bounds__(kElementwiseThreads)
    elementwise_kernel(Body body, std::int64_t count) {
  constexpr int kUnroll = kElementwiseUnroll;
  const std::int64_t first =
      (static_cast<std::int64_t>(blockIdx.x) * kUnroll * kElementwiseThreads + threadIdx.x) *
      kWidth;
  typename Body::template Inputs<kWidth> inputs[kUnroll];
#pragma unroll
  for (int i = 0; i < kUnroll; ++i) {
    const std::int64_t begin = first + i * kElementwiseThreads * kWidth;
    if (begin + kWidth <= count) body.load(begin, inputs[i]);
  }
#pragma unroll
  for (int i = 0; i < kUnroll; ++i) {
    const std::int64_t begin = first + i * kElementwiseThreads * kWidth;
    if (begin + kWidth <= count) body.finish(begin, inputs[i]);
  }
  // What is left behind the last whole pack.
  const std::int64_t rest = count - count % kWidth + threadIdx.x;
  if (kWidth > 1 && blockIdx.x == 0 && rest < count) {
    typename Body::template Inputs<1> single;
    body.load(rest, single);
    body.finish(rest, single);
  }
}

/// `wide`: every pointer is aligned for kWidth elements at a time.
template <int kWidth, typename Body>
void for_each_element(const Body& body, std::int64_t count, bool wide, std::string_view op,
                      const Context& context) {
  if (count == 0) return;
  constexpr std::int64_t kPacks = kElementwiseThreads * kElementwiseUnroll;
  if (wide) {
    const auto blocks = static_cast<unsigned>(ceil_div(count, kPacks * kWidth));
    elementwise_kernel<kWidth><<<blocks, kElementwiseThreads, 0, stream_of(context)>>>(body, count);
  } else {
    const auto blocks = static_cast<unsigned>(ceil_div(count, kPacks));
    elementwise_kernel<1><<<blocks, kElementwiseThreads, 0, stream_of(context)>>>(body, count);
  }
  check_launch(op);
}

}  // namespace sparsevid::ops::cuda
