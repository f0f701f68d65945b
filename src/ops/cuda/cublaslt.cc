#include "ops/cuda/cublaslt.h"

#include <cublasLt.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <tuple>

#include "base/error.h"
#include "ops/cuda/common/launch.h"

namespace sparsevid::ops::cuda {
namespace {

// What NVIDIA recommends for Hopper.
constexpr std::size_t kWorkspaceBytes = std::size_t{32} << 20;

void check_cublas(cublasStatus_t status, const char* what) {
  if (status != CUBLAS_STATUS_SUCCESS)
    fail(ErrorKind::internal, "linear: cuBLASLt: {}: {}", what, cublasLtGetStatusString(status));
}

cudaDataType_t type_of(DType dtype) { return dtype == DType::bf16 ? CUDA_R_16BF : CUDA_R_32F; }

/// Largest power of two up to 16 that divides the address; kernels ask for no more.
std::uint32_t alignment_of(const void* pointer) {
  const auto address = reinterpret_cast<std::uintptr_t>(pointer) | 16U;
  return static_cast<std::uint32_t>(address & (~address + 1));
}

std::int64_t row_stride(const TensorView& view) {
  // The stride between rows means nothing to a single row, but cuBLASLt checks it.
  return view.size(0) == 1 ? std::max(view.stride(0), view.size(1)) : view.stride(0);
}

bool has_bias(Epilogue epilogue) {
  return epilogue == Epilogue::bias || epilogue == Epilogue::gelu_tanh_bias ||
         epilogue == Epilogue::relu_bias;
}

cublasLtEpilogue_t cublas_epilogue(Epilogue epilogue) {
  switch (epilogue) {
    case Epilogue::none:
      return CUBLASLT_EPILOGUE_DEFAULT;
    case Epilogue::bias:
      return CUBLASLT_EPILOGUE_BIAS;
    case Epilogue::gelu_tanh:
      return CUBLASLT_EPILOGUE_GELU;
    case Epilogue::gelu_tanh_bias:
      return CUBLASLT_EPILOGUE_GELU_BIAS;
    case Epilogue::relu:
      return CUBLASLT_EPILOGUE_RELU;
    case Epilogue::relu_bias:
      return CUBLASLT_EPILOGUE_RELU_BIAS;
  }
  return CUBLASLT_EPILOGUE_DEFAULT;
}

// cuBLASLt's matrices are column-major: a row-major [rows, columns] is its [columns, rows].
struct Plan {
  cublasLtMatmulDescOpaque_t product;
  cublasLtMatrixLayoutOpaque_t weight, x, out;
  cublasLtMatmulAlgo_t algorithm;
};

using Key = std::tuple<std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t, DType,
                       DType, Epilogue, std::uint32_t, std::uint32_t, std::uint32_t>;

Key key_of(const MatrixProduct& p) {
  return {p.x.size(0),
          p.x.size(1),
          p.out.size(1),
          row_stride(p.x),
          row_stride(p.out),
          p.x.dtype(),
          p.out.dtype(),
          p.epilogue,
          alignment_of(p.x.data()),
          alignment_of(p.weight.data()),
          alignment_of(p.out.data())};
}

/// The handle and the plans of the device in use; made at first use, kept for good.
class Planner {
 public:
  static Planner& instance() {
    static Planner planner;
    return planner;
  }
  cublasLtHandle_t handle() const { return handle_; }

  std::optional<Plan> plan(const MatrixProduct& p) {
    const std::lock_guard lock(mutex_);
    const Key key = key_of(p);
    const auto found = plans_.find(key);
    if (found != plans_.end()) return found->second;
    return plans_.emplace(key, make(p)).first->second;
  }

 private:
  Planner() { check_cublas(cublasLtCreate(&handle_), "creating the handle"); }

  std::optional<Plan> make(const MatrixProduct& p) const {
    Plan plan = {};
    check_cublas(cublasLtMatmulDescInit(&plan.product, CUBLAS_COMPUTE_32F, CUDA_R_32F),
                 "describing");
    const cublasOperation_t transposed = CUBLAS_OP_T;
    set(plan.product, CUBLASLT_MATMUL_DESC_TRANSA, transposed);
    set(plan.product, CUBLASLT_MATMUL_DESC_EPILOGUE, cublas_epilogue(p.epilogue));
    if (has_bias(p.epilogue)) {
      const std::int32_t bias_type = CUDA_R_32F;
      set(plan.product, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, bias_type);
      set(plan.product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, p.bias.data());
    }
    const auto rows = static_cast<std::uint64_t>(p.x.size(0));
    const auto in = static_cast<std::uint64_t>(p.x.size(1));
    const auto out = static_cast<std::uint64_t>(p.out.size(1));
    const cudaDataType_t in_type = type_of(p.x.dtype());
    cublasLtMatrixLayoutInit(&plan.weight, in_type, in, out, p.x.size(1));
    cublasLtMatrixLayoutInit(&plan.x, in_type, in, rows, row_stride(p.x));
    cublasLtMatrixLayoutInit(&plan.out, type_of(p.out.dtype()), out, rows, row_stride(p.out));

    cublasLtMatmulPreferenceOpaque_t preference;
    check_cublas(cublasLtMatmulPreferenceInit(&preference), "describing");
    const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t attribute, const auto& value) {
      check_cublas(
          cublasLtMatmulPreferenceSetAttribute(&preference, attribute, &value, sizeof(value)),
          "describing");
    };
    prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, kWorkspaceBytes);
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment_of(p.weight.data()));
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment_of(p.x.data()));
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment_of(p.out.data()));
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment_of(p.out.data()));
    cublasLtMatmulHeuristicResult_t result = {};
    int found = 0;
    const cublasStatus_t status =
        cublasLtMatmulAlgoGetHeuristic(handle_, &plan.product, &plan.weight, &plan.x, &plan.out,
                                       &plan.out, &preference, 1, &result, &found);
    if (status != CUBLAS_STATUS_SUCCESS || found == 0) return std::nullopt;
    plan.algorithm = result.algo;
    return plan;
  }

  template <typename Value>
  static void set(cublasLtMatmulDescOpaque_t& product, cublasLtMatmulDescAttributes_t attribute,
                  const Value& value) {
    check_cublas(cublasLtMatmulDescSetAttribute(&product, attribute, &value, sizeof(value)),
                 "describing");
  }

  cublasLtHandle_t handle_ = nullptr;
  std::mutex mutex_;
  std::map<Key, std::optional<Plan>> plans_;
};

}  // namespace

bool cublaslt_product(const MatrixProduct& product, Context& context) {
  Planner& planner = Planner::instance();
  std::optional<Plan> plan = planner.plan(product);
  if (!plan) return false;
  if (has_bias(product.epilogue)) {
    const void* bias = product.bias.data();
    check_cublas(cublasLtMatmulDescSetAttribute(&plan->product, CUBLASLT_MATMUL_DESC_BIAS_POINTER,
                                                &bias, sizeof(bias)),
                 "describing");
  }
  const Arena::Scope scope(context.arena);
  void* workspace = context.arena.allocate(kWorkspaceBytes);
  const float one = 1;
  const float zero = 0;
  check_cublas(cublasLtMatmul(planner.handle(), &plan->product, &one, product.weight.data(),
                              &plan->weight, product.x.data(), &plan->x, &zero, product.out.data(),
                              &plan->out, product.out.data(), &plan->out, &plan->algorithm,
                              workspace, kWorkspaceBytes, stream_of(context)),
               "product");
  return true;
}

}  // namespace sparsevid::ops::cuda
