// Plan: a block for each row, an element a thread; a prompt has at most some hundred rows.
#include "ops/cuda/embedding.h"

#include "ops/cuda/common/elements.h"
#include "ops/cuda/common/launch.h"

namespace sparsevid::ops::cuda {
namespace {

constexpr int kThreads = 256;

template <typename Table, typename Out>
__global__ void __launch_bounds__(kThreads)
    embedding_kernel(const int* ids, std::int64_t id_stride, const Table* table, int vocabulary,
                     Out* out, std::int64_t out_stride, int dim) {
  const int id = ids[blockIdx.x * id_stride];
  const bool known = id >= 0 && id < vocabulary;
  Out* row = out + blockIdx.x * out_stride;
  for (int i = static_cast<int>(threadIdx.x); i < dim; i += kThreads)
    row[i] = from_float<Out>(known ? to_float(table[static_cast<std::int64_t>(id) * dim + i])
                                   : __int_as_float(0x7fc00000));
}

template <typename Table>
void launch(const EmbeddingParams& params, const Context& context) {
  with_float_type(params.out.dtype(), [&](auto element) {
    using Out = decltype(element);
    embedding_kernel<<<static_cast<unsigned>(params.ids.size(0)), kThreads, 0,
                       stream_of(context)>>>(
        device_pointer<const int>(params.ids), params.ids.stride(0),
        device_pointer<const Table>(params.table), static_cast<int>(params.table.size(0)),
        device_pointer<Out>(params.out), params.out.stride(0),
        static_cast<int>(params.out.size(1)));
  });
}

}  // namespace

void embedding(const EmbeddingParams& params, Context& context) {
  if (params.out.numel() == 0) return;
  switch (params.table.dtype()) {
    case DType::f16:
      launch<__half>(params, context);
      break;
    case DType::bf16:
      launch<device_bf16>(params, context);
      break;
    default:
      launch<float>(params, context);
  }
  check_launch("embedding");
}

}  // namespace sparsevid::ops::cuda
