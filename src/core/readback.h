// Numbers that a GPU computes and the host wants some time, without making either wait.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "core/context.h"
#include "core/tensor.h"

namespace sparsevid {

class Readback {
 public:
  using Use = std::function<void(const TensorView& on_cpu)>;

  Readback() = default;
  ~Readback();
  Readback(const Readback&) = delete;
  Readback& operator=(const Readback&) = delete;

  /// `values` is contiguous. On the CPU it is used at once; from a GPU it is copied in stream order
  /// and used in finish(). The memory for that is kept from step to step.
  void read(const TensorView& values, const Context& context, Use use);
  /// Uses what was read, in order. All queued work has to be done.
  void finish();

 private:
  struct Block {
    void* memory;
    std::size_t bytes;
  };
  struct Pending {
    TensorView values;
    Use use;
  };
  void* allocate(std::size_t bytes);

  std::vector<Block> blocks_;
  std::size_t block_ = 0;
  std::size_t used_ = 0;
  std::vector<Pending> pending_;
};

}  // namespace sparsevid
