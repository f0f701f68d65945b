// Plan: a warp for each row. Bound: memory.
#include "ops/cuda/attention_products/float_rows.h"

#include "ops/cuda/common/elements.h"
#include "ops/cuda/common/launch.h"

namespace sparsevid::ops::cuda {
namespace {

template <typename T>
__global__ void copy_rows_kernel(const T* from, std::int64_t head_stride, std::int64_t stride,
                                 int width, int count, float* to, std::int64_t to_head_stride,
                                 int to_stride) {
  const int row = blockIdx.x * blockDim.y + threadIdx.y;
  if (row >= count) return;
  float* target = to + blockIdx.y * to_head_stride + static_cast<std::int64_t>(row) * to_stride;
  for (int d = threadIdx.x; d < to_stride; d += blockDim.x)
    target[d] = d < width ? to_float(from[blockIdx.y * head_stride + row * stride + d]) : 0.F;
}

}  // namespace

void copy_rows(const TensorView& from, std::int64_t heads, std::int64_t count, float* to,
               const FloatRows& shape, std::int64_t first, cudaStream_t stream) {
  if (heads == 0 || count == 0) return;
  const dim3 threads(32, 8);
  const dim3 grid(static_cast<unsigned>(ceil_div<std::int64_t>(count, threads.y)),
                  static_cast<unsigned>(heads));
  with_float_type(from.defined() ? from.dtype() : DType::f32, [&]<typename T>(T) {
    copy_rows_kernel<T><<<grid, threads, 0, stream>>>(
        device_pointer<const T>(from), from.defined() ? from.stride(0) : 0,
        from.defined() ? from.stride(1) : 0, from.defined() ? static_cast<int>(from.size(2)) : 0,
        static_cast<int>(count), to + first * shape.stride, shape.batch_stride,
        static_cast<int>(shape.stride));
  });
  check_launch("attention: rows as f32");
}

}  // namespace sparsevid::ops::cuda
