// The problem: attention of bf16 heads too wide for their sums to stay in registers.
// Plan: 128 x 128 of the result to a block of 4 warps, 64 x 64 to a warp; 64 steps of depth at a
//   time in three stages of shared memory, filled by cp.async.
// Shared memory: 3 x (16 + 16) KB.
// Bound: mma.sync. Attention of one head of 384 over 6,240 tokens by it: 156 TFLOP/s on an H200,
//   with the softmax and the logits in memory included.
#include "ops/cuda/attention_products/bf16_product.h"

#include "ops/cuda/attention_mma/row_tile.h"
#include "ops/cuda/common/launch.h"
#include "ops/cuda/common/ldmatrix.h"
#include "ops/cuda/common/mma_sync.h"

namespace sparsevid::ops::cuda {
namespace {

constexpr int kSide = 128;
constexpr int kDepth = 64;
constexpr int kStages = 3;
constexpr int kTileBytes = kSide * kDepth * 2;
constexpr int kBytes = kStages * 2 * kTileBytes;

template <typename T>
struct Problem {
  const device_bf16* a;
  const device_bf16* b;
  T* out;
  std::int64_t a_batch_stride, a_stride, b_batch_stride, b_stride, out_batch_stride, out_stride;
  const float* row_factors;
  int rows, columns, depth;
};

template <typename T, bool kDeep>
__global__ void __launch_bounds__(kAttentionThreads, 2)
    bf16_product_kernel(const __grid_constant__ Problem<T> p) {
  extern __shared__ __align__(256) unsigned char memory[];
  using ATile = RowTile<kDepth>;
  using BTile = RowTile<kDeep ? kSide : kDepth>;
  const unsigned tiles = shared_address(memory);
  const device_bf16* a = p.a + blockIdx.z * p.a_batch_stride;
  const device_bf16* b = p.b + blockIdx.z * p.b_batch_stride;
  const int first_row = blockIdx.x * kSide;
  const int first_column = blockIdx.y * kSide;
  const auto a_stride = static_cast<int>(p.a_stride * 2);
  const auto b_stride = static_cast<int>(p.b_stride * 2);
  const int steps = (p.depth + kDepth - 1) / kDepth;

  const auto load = [&](int step) {
    if (step < steps) {
      const int k = step * kDepth;
      const unsigned stage = tiles + step % kStages * (2 * kTileBytes);
      RowLoader<kDepth>(p.depth - k)
          .template load_range<kSide>(stage, {a + k, a_stride}, first_row, p.rows);
      if constexpr (kDeep) {
        RowLoader<kSide>(p.columns - first_column)
            .template load_range<kDepth>(stage + kTileBytes, {b + first_column, b_stride}, k,
                                         p.depth);
      } else {
        RowLoader<kDepth>(p.depth - k)
            .template load_range<kSide>(stage + kTileBytes, {b + k, b_stride}, first_column,
                                        p.columns);
      }
    }
    cp_async_commit();
  };

  const int lane = threadIdx.x % 32;
  const int warp = threadIdx.x / 32;
  const int row = warp / 2 * 64;  // of the warp's part of the result
  const int column = warp % 2 * 64;
  // As in tile_loop.h: queries are a, keys b, values a deep b.
  const unsigned a_offset = ATile::offset(row + lane / 8 % 2 * 8 + lane % 8, lane % 8, lane / 16);
  const unsigned b_offset =
      kDeep ? BTile::offset(lane / 8 % 2 * 8 + lane % 8, lane % 8, column / 8 + lane / 16)
            : BTile::offset(column + lane / 16 * 8 + lane % 8, lane % 8, lane / 8 % 2);

  float sums[4][8][4] = {};
  for (int step = 0; step < kStages - 1; ++step) load(step);
  for (int step = 0; step < steps; ++step) {
    cp_async_wait<kStages - 2>();
    __syncthreads();
    load(step + kStages - 1);
    const unsigned a_tile = tiles + step % kStages * (2 * kTileBytes);
    const unsigned b_tile = a_tile + kTileBytes;
#pragma unroll
    for (int k = 0; k < kDepth / 16; ++k) {
      unsigned x[4][4];
#pragma unroll
      for (int i = 0; i < 4; ++i)
        ldmatrix_x4(x[i], ((a_tile + a_offset) ^ (k * 32)) + i * 16 * ATile::kRowBytes);
#pragma unroll
      for (int n = 0; n < 4; ++n) {
        unsigned y[4];
        if constexpr (kDeep) {
          ldmatrix_x4_transposed(y, ((b_tile + b_offset) ^ (n * 32)) + k * 16 * BTile::kRowBytes);
        } else {
          ldmatrix_x4(y, ((b_tile + b_offset) ^ (k * 32)) + n * 16 * BTile::kRowBytes);
        }
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          mma_bf16(sums[i][2 * n], x[i], y[0], y[1]);
          mma_bf16(sums[i][2 * n + 1], x[i], y[2], y[3]);
        }
      }
    }
  }

  T* out = p.out + blockIdx.z * p.out_batch_stride;
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    const int r = first_row + row + i / 2 * 16 + i % 2 * 8 + lane / 4;
    if (r >= p.rows) continue;
    const float factor = p.row_factors == nullptr
                             ? 1.F
                             : p.row_factors[static_cast<std::int64_t>(blockIdx.z) * p.rows + r];
#pragma unroll
    for (int n = 0; n < 8; ++n)
#pragma unroll
      for (int c = 0; c < 2; ++c) {
        const int at = first_column + column + n * 8 + lane % 4 * 2 + c;
        if (at < p.columns)
          out[r * p.out_stride + at] = from_float<T>(sums[i / 2][n][i % 2 * 2 + c] * factor);
      }
  }
}

template <typename T, bool kDeep>
void launch(const Bf16Product& product, cudaStream_t stream) {
  const auto& [a, b, deep, out, row_factors] = product;
  const Problem<T> problem{device_pointer<const device_bf16>(a),
                           device_pointer<const device_bf16>(b),
                           device_pointer<T>(out),
                           a.stride(0),
                           a.stride(1),
                           b.stride(0),
                           b.stride(1),
                           out.stride(0),
                           out.stride(1),
                           row_factors,
                           static_cast<int>(out.size(1)),
                           static_cast<int>(out.size(2)),
                           static_cast<int>(a.size(2))};
  const auto kernel = bf16_product_kernel<T, kDeep>;
  allow_shared_memory(kernel, kBytes, "attention: product in bf16");
  const dim3 grid(static_cast<unsigned>(ceil_div<std::int64_t>(out.size(1), kSide)),
                  static_cast<unsigned>(ceil_div<std::int64_t>(out.size(2), kSide)),
                  static_cast<unsigned>(out.size(0)));
  kernel<<<grid, kAttentionThreads, kBytes, stream>>>(problem);
  check_launch("attention: product in bf16");
}

}  // namespace

void bf16_product(const Bf16Product& product, cudaStream_t stream) {
  with_float_type(product.out.dtype(), [&]<typename T>(T) {
    product.b_is_deep ? launch<T, true>(product, stream) : launch<T, false>(product, stream);
  });
}

}  // namespace sparsevid::ops::cuda
