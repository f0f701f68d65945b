// Scratch memory of a run: taken in stack order, kept between steps, so that a second step
// allocates nothing.
#pragma once

#include <cstddef>
#include <vector>

#include "core/tensor.h"

namespace sparsevid {

class Arena {
 public:
  explicit Arena(Device device = Device::cpu) : device_(device) {}

  /// Scratch of the device, aligned to 64 bytes on the CPU and 256 on a GPU, valid until the
  /// enclosing Scope ends.
  void* allocate(std::size_t bytes);
  TensorView tensor(DType dtype, const Shape& shape);
  template <typename T>
  T* array(std::int64_t count) {
    return static_cast<T*>(allocate(static_cast<std::size_t>(count) * sizeof(T)));
  }

  /// Gives back at its end what was taken since its start.
  class Scope {
   public:
    explicit Scope(Arena& arena) : arena_(arena), block_(arena.block_), used_(arena.used_) {}
    ~Scope() { arena_.release(block_, used_); }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Arena& arena_;
    std::size_t block_;
    std::size_t used_;
  };

  std::size_t capacity() const;                      ///< bytes held
  std::size_t peak() const { return peak_; }         ///< most bytes in use at once
  long allocations() const { return allocations_; }  ///< how often memory had to be asked for
  void clear();                                      ///< frees everything; no Scope may be open
  /// Makes one block of this size, so that what is planned is what is held; nothing may be in use.
  void reserve(std::size_t bytes);

 private:
  void add_block(std::size_t bytes);
  void release(std::size_t block, std::size_t used);
  std::size_t in_use() const;

  Device device_;
  std::vector<Tensor> blocks_;
  std::size_t block_ = 0;  // the block being filled
  std::size_t used_ = 0;   // bytes used of it
  std::size_t peak_ = 0;
  long allocations_ = 0;
};

}  // namespace sparsevid
