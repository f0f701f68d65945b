#include "ops/cuda/common/tensor_map.h"

#include <cudaTypedefs.h>
#include <cuda_runtime_api.h>

#include "base/error.h"
#include "ops/cuda/common/launch.h"

namespace sparsevid::ops::cuda {
namespace {

// From the driver at run time, so that a program with GPU code also starts where there is none.
PFN_cuTensorMapEncodeTiled_v12000 encode_function() {
  void* function = nullptr;
  cudaDriverEntryPointQueryResult found{};
  check(cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000,
                                         cudaEnableDefault, &found),
        "tensor map");
  require(found == cudaDriverEntryPointSuccess, ErrorKind::internal,
          "cuda: expected a driver with cuTensorMapEncodeTiled (12.0 or newer)");
  return reinterpret_cast<PFN_cuTensorMapEncodeTiled_v12000>(function);
}

// The stride of an axis of one element means nothing, but must be a legal one.
std::int64_t stride_of(const TensorView& view, int axis) {
  return view.size(axis) == 1 ? view.size(2) : view.stride(axis);
}

}  // namespace

CUtensorMap head_rows_map(const TensorView& rows, int box_rows, int box_halves) {
  static const auto encode = encode_function();
  const auto halves = static_cast<cuuint64_t>(rows.size(2) / 64);
  const cuuint64_t extents[] = {64, static_cast<cuuint64_t>(rows.size(1)), halves,
                                static_cast<cuuint64_t>(rows.size(0))};
  const cuuint64_t strides[] = {static_cast<cuuint64_t>(stride_of(rows, 1)) * 2, 128,
                                static_cast<cuuint64_t>(stride_of(rows, 0)) * 2};
  const cuuint32_t box[] = {64, static_cast<cuuint32_t>(box_rows),
                            static_cast<cuuint32_t>(box_halves), 1};
  const cuuint32_t steps[] = {1, 1, 1, 1};
  CUtensorMap map;
  const CUresult status =
      encode(&map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 4, rows.data(), extents, strides, box, steps,
             CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
             CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  require(status == CUDA_SUCCESS, ErrorKind::internal, "cuda: tensor map refused, status {}",
          static_cast<int>(status));
  return map;
}

CUtensorMap matrix_map(const TensorView& matrix, int box_rows) {
  static const auto encode = encode_function();
  const auto element = static_cast<cuuint64_t>(size_of(matrix.dtype()));
  const bool bytes = matrix.dtype() == DType::u8;
  const cuuint64_t extents[] = {static_cast<cuuint64_t>(matrix.size(1)),
                                static_cast<cuuint64_t>(matrix.size(0))};
  const std::int64_t row = matrix.size(0) == 1 ? matrix.size(1) : matrix.stride(0);
  const cuuint64_t strides[] = {static_cast<cuuint64_t>(row) * element};
  const cuuint32_t box[] = {static_cast<cuuint32_t>(128 / element),
                            static_cast<cuuint32_t>(box_rows)};
  const cuuint32_t steps[] = {1, 1};
  CUtensorMap map;
  const CUresult status =
      encode(&map, bytes ? CU_TENSOR_MAP_DATA_TYPE_UINT8 : CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 2,
             matrix.data(), extents, strides, box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE,
             CU_TENSOR_MAP_SWIZZLE_128B, CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
             CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  require(status == CUDA_SUCCESS, ErrorKind::internal, "cuda: tensor map refused, status {}",
          static_cast<int>(status));
  return map;
}

CUtensorMap box_map(const TensorView& tensor, std::initializer_list<int> box) {
  static const auto encode = encode_function();
  const int rank = tensor.rank();
  cuuint64_t extents[Shape::kMaxRank];
  cuuint64_t strides[Shape::kMaxRank];  // of all axes but the last
  cuuint32_t sides[Shape::kMaxRank];
  cuuint32_t steps[Shape::kMaxRank];
  const auto element = static_cast<cuuint64_t>(size_of(tensor.dtype()));
  for (int i = 0; i < rank; ++i) {
    extents[i] = static_cast<cuuint64_t>(tensor.size(rank - 1 - i));
    if (i > 0) strides[i - 1] = static_cast<cuuint64_t>(tensor.stride(rank - 1 - i)) * element;
    sides[i] = static_cast<cuuint32_t>(box.begin()[i]);
    steps[i] = 1;
  }
  CUtensorMap map;
  const CUresult status =
      encode(&map,
             tensor.dtype() == DType::f32 ? CU_TENSOR_MAP_DATA_TYPE_TFLOAT32
                                          : CU_TENSOR_MAP_DATA_TYPE_BFLOAT16,
             static_cast<cuuint32_t>(rank), tensor.data(), extents, strides, sides, steps,
             CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
             CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  require(status == CUDA_SUCCESS, ErrorKind::internal, "cuda: tensor map refused, status {}",
          static_cast<int>(status));
  return map;
}

std::string head_rows_refusal(const TensorView& rows) {
  if (reinterpret_cast<std::uintptr_t>(rows.data()) % 16 != 0)
    return "rows not aligned to 16 bytes";
  for (int axis = 0; axis < 2; ++axis)
    if (rows.size(axis) > 1 && (rows.stride(axis) % 8 != 0 || rows.stride(axis) <= 0))
      return "strides are no multiples of 8 elements";
  return {};
}

}  // namespace sparsevid::ops::cuda
