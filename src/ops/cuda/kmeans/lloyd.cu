// Iterations of k-means on the GPU: assign, sort by label, means, settle. Nothing is read back: a
// head that has converged raises a flag, and the kernels of later iterations return at once for it.
//
// Sums are not atomic: rows are sorted by label (cluster_order.h, stable), and each cluster adds
// its members in that order, so a seed gives the same result every time. That reads the rows twice,
// once for the assignment and once gathered, 0.18 ms more for 0.77 GB; atomics would read them
// once, but add 387 million times.
#include "ops/cuda/kmeans/lloyd.h"

#include "ops/cuda/cluster_order.h"
#include "ops/cuda/cluster_statistics.h"
#include "ops/cuda/common/elements.h"
#include "ops/cuda/common/launch.h"
#include "ops/cuda/kmeans/settle.h"
#include "ops/kmeans_seed.h"

namespace sparsevid::ops::cuda {
namespace {

template <typename T>
__global__ void start_from_rows(const T* x, std::int64_t head_stride, std::int64_t row_stride,
                                std::uint64_t seed, LloydState state) {
  const int c = static_cast<int>(blockIdx.x);
  const int head = static_cast<int>(blockIdx.y);
  const std::int64_t row = kmeans_seed_row(seed, head, c, state.clusters, state.count);
  const std::int64_t place = static_cast<std::int64_t>(head) * state.clusters + c;
  for (int d = static_cast<int>(threadIdx.x); d < state.dim; d += blockDim.x)
    state.centroids[place * state.dim + d] =
        row < 0 ? 0 : to_float(x[head * head_stride + row * row_stride + d]);
  if (threadIdx.x == 0) state.usable[place] = row >= 0 ? 1 : 0;
}

void start(const LloydState& state, const KMeansParams& params, Context& context) {
  const cudaStream_t stream = stream_of(context);
  const auto places = static_cast<std::size_t>(state.heads) * state.clusters;
  check(cudaMemsetAsync(state.resting, 0, sizeof(int) * state.heads, stream), "kmeans");
  if (params.warm_start) {
    check(cudaMemsetAsync(state.usable, 1, places, stream), "kmeans");
    return;
  }
  with_float_type(params.x.dtype(), [&](auto element) {
    using T = decltype(element);
    start_from_rows<<<dim3(state.clusters, state.heads), 128, 0, stream>>>(
        device_pointer<const T>(params.x), params.x.stride(0), params.x.stride(1), params.seed,
        state);
  });
  check_launch("kmeans");
}

}  // namespace

void lloyd(AssignStep& assign, const KMeansParams& params, Context& context) {
  const Arena::Scope scope(context.arena);
  LloydState state{};
  state.heads = static_cast<int>(params.x.size(0));
  state.count = static_cast<int>(params.x.size(1));
  state.dim = static_cast<int>(params.x.size(2));
  state.clusters = static_cast<int>(params.centroids.size(1));
  if (state.heads == 0) return;
  state.centroids = params.centroids.as<float>();
  const std::int64_t places = std::int64_t{state.heads} * state.clusters;
  state.usable = context.arena.array<unsigned char>(places);
  state.resting = context.arena.array<int>(state.heads);
  const TensorView order = context.arena.tensor(DType::i32, {state.heads, state.count});
  const TensorView offsets = context.arena.tensor(DType::i32, {state.heads, state.clusters + 1});
  const MeanMovement movement{context.arena.array<float>(places),
                              context.arena.array<float>(places)};
  SettleParams end{};
  end.state = state;
  end.x = params.x;
  end.labels = params.labels;
  end.counts = params.counts;
  end.order = order.as<std::int32_t>();
  end.offsets = offsets.as<std::int32_t>();
  end.moved = movement.moved;
  end.norms = movement.norms;
  end.scratch.parted = context.arena.array<int>(std::int64_t{state.heads} * state.count);
  end.scratch.begins = context.arena.array<int>(places);
  end.scratch.whole = context.arena.array<unsigned char>(places);
  end.tolerance = params.tolerance;
  start(state, params, context);
  for (int i = 0; i < params.max_iterations; ++i) {
    assign.run(state, params, context);
    cluster_order({params.labels, order, offsets}, state.resting, context);
    cluster_statistics({params.x, order, offsets, params.centroids, {}}, movement, state.resting,
                       context);
    settle(end, context);
  }
}

}  // namespace sparsevid::ops::cuda
