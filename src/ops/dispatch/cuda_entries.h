// Where the CUDA implementations join the lists of the CPU's.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "ops/dispatch/staged_call.h"
#include "ops/implementation_list.h"

namespace sparsevid::ops {

template <typename Params>
using Entries = std::vector<Implementation<Params>>;

/// In order of preference; empty in a build without CUDA. Specialised in cuda_entries.cc alone.
template <typename Params>
Entries<Params> cuda_entries();

/// The list of an op: CUDA's implementations, then the CPU's, which end with the reference.
template <typename Params>
ImplementationList<Params> implementations(std::string_view op, Entries<Params> on_cpu) {
  Entries<Params> entries = cuda_entries<Params>();
  if (host_tensors_go_to_cuda()) on_cpu.erase(on_cpu.begin(), on_cpu.end() - 1);
  entries.insert(entries.end(), on_cpu.begin(), on_cpu.end());
  return {op, std::move(entries)};
}

}  // namespace sparsevid::ops
