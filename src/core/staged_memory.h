// The memory behind a set of host views, copied to a GPU and back: for tests and benchmarks, whose
// inputs are made on the host.
#pragma once

#include <cstddef>
#include <vector>

#include "core/tensor.h"

namespace sparsevid {

/// Views that overlap share one copy, as they share their memory.
class StagedMemory {
 public:
  void add(const TensorView& view);
  /// Allocates and uploads all that was added.
  void upload();
  /// The same view of the copy.
  TensorView staged(const TensorView& view) const;
  /// Writes back what the GPU changed; inputs may be read-only memory.
  void download() const;

 private:
  struct Span {
    std::byte* begin;
    std::byte* end;
    Tensor memory;
    std::size_t offset = 0;  // so that the copy is aligned as the original
  };
  std::vector<Span> spans_;
};

}  // namespace sparsevid
