// Which instruction set the CPU kernels may use.
#pragma once

#include <string_view>

namespace sparsevid {

/// In ascending order: each level includes those before it.
enum class CpuIsa { scalar, avx2, avx512, avx512_bf16, amx };

/// The best level of this machine (AMX only after the kernel has granted the tile state), lowered
/// by the environment variable SPARSEVID_CPU_ISA=scalar|avx2|avx512|avx512_bf16|amx. Computed once.
CpuIsa cpu_isa();

std::string_view to_string(CpuIsa isa);

/// Cores this process may run on.
int available_cores();

}  // namespace sparsevid
