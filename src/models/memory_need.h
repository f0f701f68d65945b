// Bytes a model will take, known before it is loaded.
#pragma once

#include <cstddef>

namespace sparsevid {

struct MemoryNeed {
  std::size_t weights;
  std::size_t workspace;
};

}  // namespace sparsevid
