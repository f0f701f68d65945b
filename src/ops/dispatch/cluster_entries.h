// The implementations of an op on clusters: one for each kernel, and the reference.
#pragma once

#include <vector>

#include "ops/cpu/cluster_kernel.h"
#include "ops/cpu/cluster_panels.h"
#include "ops/implementation_list.h"

namespace sparsevid::ops {

/// The type of the input that names the kernel.
template <typename Params>
DType cluster_dtype(const Params& params) {
  if constexpr (requires { params.x; }) {
    return params.x.dtype();
  } else if constexpr (requires { params.q; }) {
    return params.q.dtype();
  } else {
    return DType::f32;
  }
}

template <CpuIsa kIsa, typename Params>
std::string cluster_kernel_refusal(const Params& params, const Context&) {
  return cpu::cluster_refusal(kIsa, cluster_dtype(params));
}

template <typename Params, void (*kRun)(const cpu::ClusterKernel&, const Params&, Context&)>
std::vector<Implementation<Params>> cluster_entries(void (*reference)(const Params&, Context&)) {
  return {{"amx", cluster_kernel_refusal<CpuIsa::amx, Params>,
           [](const Params& p, Context& c) { kRun(cpu::kClusterAmx, p, c); }},
          {"avx512_bf16", cluster_kernel_refusal<CpuIsa::avx512_bf16, Params>,
           [](const Params& p, Context& c) { kRun(cpu::kClusterAvx512Bf16, p, c); }},
          {"avx512", cluster_kernel_refusal<CpuIsa::avx512, Params>,
           [](const Params& p, Context& c) { kRun(cpu::kClusterAvx512, p, c); }},
          {"avx2", cluster_kernel_refusal<CpuIsa::avx2, Params>,
           [](const Params& p, Context& c) { kRun(cpu::kClusterAvx2, p, c); }},
          {"ref", never_refuses<Params>, reference}};
}

}  // namespace sparsevid::ops
