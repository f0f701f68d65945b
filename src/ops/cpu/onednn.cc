#include "ops/cpu/onednn.h"

#include <utility>

#include "base/cpu_features.h"

namespace sparsevid::ops::cpu {
namespace {

dnnl::cpu_isa onednn_isa(CpuIsa isa) {
  switch (isa) {
    case CpuIsa::scalar:
      return dnnl::cpu_isa::sse41;
    case CpuIsa::avx2:
      return dnnl::cpu_isa::avx2;
    case CpuIsa::avx512:
      return dnnl::cpu_isa::avx512_core;
    case CpuIsa::avx512_bf16:
      return dnnl::cpu_isa::avx512_core_bf16;
    case CpuIsa::amx:
      break;
  }
  return dnnl::cpu_isa::all;
}

}  // namespace

const dnnl::engine& onednn_engine() {
  static const dnnl::engine engine = [] {
    // Fails when the process has used oneDNN before us; then its own choice stands.
    static_cast<void>(dnnl_set_max_cpu_isa(static_cast<dnnl_cpu_isa_t>(onednn_isa(cpu_isa()))));
    return dnnl::engine(dnnl::engine::kind::cpu, 0);
  }();
  return engine;
}

bool has_native_bf16() { return cpu_isa() >= CpuIsa::avx512_bf16; }

void execute(const dnnl::primitive& primitive, const dnnl::memory::desc& scratchpad,
             std::unordered_map<int, dnnl::memory> arguments, Context& context) {
  const Arena::Scope scope(context.arena);
  if (scratchpad.get_size() > 0)
    arguments.insert(
        {DNNL_ARG_SCRATCHPAD,
         {scratchpad, onednn_engine(), context.arena.allocate(scratchpad.get_size())}});
  dnnl::stream stream(onednn_engine());
  primitive.execute(stream, arguments);
  stream.wait();
}

}  // namespace sparsevid::ops::cpu
