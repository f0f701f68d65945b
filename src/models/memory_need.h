// Bytes a model will take, known before it is loaded.
#pragma once

#include <cstddef>

namespace sparsevid {

struct MemoryNeed {
  std::size_t weights;
  std::size_t workspace;  ///< scratch
  std::size_t kept = 0;   ///< made once and kept for the run
  std::size_t host = 0;   ///< page-locked memory of the host, for weights that a GPU streams
};

}  // namespace sparsevid
