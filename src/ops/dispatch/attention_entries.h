// The implementations of an attention op: one for each kernel of the tile, and the reference.
#pragma once

#include <vector>

#include "ops/cpu/attention_scratch.h"
#include "ops/cpu/attention_tile.h"
#include "ops/implementation_list.h"

namespace sparsevid::ops {

template <CpuIsa kIsa, typename Params>
std::string attention_kernel_refusal(const Params& params, const Context&) {
  return cpu::attention_refusal(kIsa, params.q.dtype(), params.scale);
}

template <typename Params, void (*kRun)(const cpu::AttentionKernel&, const Params&, Context&)>
std::vector<Implementation<Params>> attention_entries(void (*reference)(const Params&, Context&)) {
  return {{"amx", attention_kernel_refusal<CpuIsa::amx, Params>,
           [](const Params& p, Context& c) { kRun(cpu::kAttentionAmx, p, c); }},
          {"avx512_bf16", attention_kernel_refusal<CpuIsa::avx512_bf16, Params>,
           [](const Params& p, Context& c) { kRun(cpu::kAttentionAvx512Bf16, p, c); }},
          {"avx512", attention_kernel_refusal<CpuIsa::avx512, Params>,
           [](const Params& p, Context& c) { kRun(cpu::kAttentionAvx512, p, c); }},
          {"avx2", attention_kernel_refusal<CpuIsa::avx2, Params>,
           [](const Params& p, Context& c) { kRun(cpu::kAttentionAvx2, p, c); }},
          {"ref", never_refuses<Params>, reference}};
}

}  // namespace sparsevid::ops
