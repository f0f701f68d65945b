// Ops of this engine as C functions on a GPU's pointers, for gpu_peers.py. In a build with CUDA:
//
//   B=build/cuda/src
//   g++ -std=c++20 -O2 -shared -fPIC -DFMT_SHARED -Isrc -Iinclude bench/gpu_peers.cc -o libours.so
//     -Wl,--start-group $B/ops/{dispatch,ref,cpu,cuda}/*.a $B/core/*.a $B/base/*.a -Wl,--end-group
//     -L/usr/local/cuda/lib64 -lcudart_static -lcublasLt -ldnnl -lfmt -lspdlog -lgomp
//
// On a machine without a GPU they take the host's pointers, so that the program can be tried there.
// Tensors of tokens are [tokens, heads, head_dim] in bf16, as models hold them.
#include <cstdio>
#include <exception>

#include "core/context.h"
#include "core/device.h"
#include "ops/attention.h"
#include "ops/attention_8bit.h"
#include "ops/band_attention.h"
#include "ops/block_sparse_attention.h"
#include "ops/block_sparse_attention_8bit.h"
#include "ops/cluster_order.h"
#include "ops/kmeans.h"
#include "ops/round_clusters.h"

using namespace sparsevid;

namespace {

Context& context() {
  static Context used(cuda_unavailable().empty() ? Device::cuda : Device::cpu);
  return used;
}
TensorView tensor(void* data, DType dtype, const Shape& shape) {
  return TensorView(data, dtype, shape, context().device);
}
TensorView tokens(void* data, long heads, long count, long dim) {
  return TensorView(data, DType::bf16, Shape{heads, count, dim}, Shape{dim, heads * dim, 1},
                    context().device);
}
template <typename Run>
int run(const Run& op) {
  try {
    op();
    return 0;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}

}  // namespace

extern "C" {

/// From `centroids`; one iteration after another, however little they move.
int ours_kmeans(void* x, void* centroids, void* labels, void* counts, long heads, long count,
                long dim, long clusters, int iterations, int warm_start) {
  return run([&] {
    ops::KMeansParams p;
    p.x = tokens(x, heads, count, dim);
    p.max_iterations = iterations;
    p.warm_start = warm_start != 0;
    p.tolerance = 0;
    p.centroids = tensor(centroids, DType::f32, {heads, clusters, dim});
    p.labels = tensor(labels, DType::i32, {heads, count});
    p.counts = tensor(counts, DType::i32, {heads, clusters});
    ops::kmeans(p, context());
  });
}

int ours_cluster_order(void* labels, void* order, void* offsets, long heads, long count,
                       long clusters) {
  return run([&] {
    ops::cluster_order(
        {tensor(labels, DType::i32, {heads, count}), tensor(order, DType::i32, {heads, count}),
         tensor(offsets, DType::i32, {heads, clusters + 1})},
        context());
  });
}

int ours_round_clusters(void* x, void* centroids, void* order, void* offsets, void* labels,
                        long heads, long count, long dim, long clusters, int multiple) {
  return run([&] {
    ops::round_clusters(
        {tokens(x, heads, count, dim), tensor(centroids, DType::f32, {heads, clusters, dim}),
         tensor(order, DType::i32, {heads, count}),
         tensor(offsets, DType::i32, {heads, clusters + 1}), multiple,
         tensor(labels, DType::i32, {heads, count})},
        context());
  });
}

int ours_attention(void* q, void* k, void* v, void* out, long heads, long count, long dim,
                   double scale, int bits) {
  return run([&] {
    const TensorView views[] = {tokens(q, heads, count, dim), tokens(k, heads, count, dim),
                                tokens(v, heads, count, dim), tokens(out, heads, count, dim)};
    if (bits == 8)
      ops::attention_8bit({views[0], views[1], views[2], views[3], scale}, context());
    else
      ops::attention({.q = views[0], .k = views[1], .v = views[2], .out = views[3], .scale = scale},
                     context());
  });
}

/// With a tail if there are means.
int ours_block_sparse(void* q, void* k, void* v, void* out, void* q_order, void* k_order,
                      void* q_offsets, void* k_offsets, void* chosen, void* k_mean, void* v_mean,
                      long heads, long count, long dim, long q_clusters, long k_clusters,
                      double scale, int bits) {
  return run([&] {
    ops::BlockSparseAttention8bitParams p;
    p.q = tokens(q, heads, count, dim);
    p.k = tokens(k, heads, count, dim);
    p.v = tokens(v, heads, count, dim);
    p.out = tokens(out, heads, count, dim);
    p.q_order = tensor(q_order, DType::i32, {heads, count});
    p.k_order = tensor(k_order, DType::i32, {heads, count});
    p.q_offsets = tensor(q_offsets, DType::i32, {heads, q_clusters + 1});
    p.k_offsets = tensor(k_offsets, DType::i32, {heads, k_clusters + 1});
    p.chosen = tensor(chosen, DType::u8, {heads, q_clusters, k_clusters});
    if (k_mean != nullptr) {
      p.k_mean = tensor(k_mean, DType::f32, {heads, k_clusters, dim});
      p.v_mean = tensor(v_mean, DType::f32, {heads, k_clusters, dim});
    }
    p.scale = scale;
    if (bits == 8)
      ops::block_sparse_attention_8bit(p, context());
    else
      ops::block_sparse_attention(p, context());
  });
}

int ours_band(void* q, void* k, void* v, void* out, void* temporal, long heads, int frames,
              int positions, long dim, long width, double scale) {
  return run([&] {
    const long count = long{frames} * positions;
    ops::BandAttentionParams p;
    p.q = tokens(q, heads, count, dim);
    p.k = tokens(k, heads, count, dim);
    p.v = tokens(v, heads, count, dim);
    p.out = tokens(out, heads, count, dim);
    p.frames = frames;
    p.positions = positions;
    p.temporal = tensor(temporal, DType::u8, {heads});
    p.width = width;
    p.scale = scale;
    ops::band_attention(p, context());
  });
}

}  // extern "C"
