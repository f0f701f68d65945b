#include "core/readback.h"

#include <algorithm>
#include <utility>

#include "core/cuda_runtime.h"

namespace sparsevid {
namespace {

constexpr std::size_t kAlignment = 64;
constexpr std::size_t kSmallestBlock = std::size_t{1} << 22;

}  // namespace

Readback::~Readback() {
  for (const Block& block : blocks_) cuda_runtime::release_pinned(block.memory);
}

void* Readback::allocate(std::size_t bytes) {
  bytes = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  while (block_ < blocks_.size() && used_ + bytes > blocks_[block_].bytes) {
    ++block_;
    used_ = 0;
  }
  if (block_ == blocks_.size()) {
    const std::size_t size = std::max(bytes, kSmallestBlock);
    blocks_.push_back({cuda_runtime::allocate_pinned(size), size});
  }
  void* memory = static_cast<std::byte*>(blocks_[block_].memory) + used_;
  used_ += bytes;
  return memory;
}

void Readback::read(const TensorView& values, const Context& context, Use use) {
  assert(values.contiguous());
  if (values.device() == Device::cpu) {
    use(values);
    return;
  }
  void* memory = allocate(values.bytes());
  cuda_runtime::copy_without_waiting(memory, values.data(), values.bytes(), context.stream);
  pending_.push_back({TensorView(memory, values.dtype(), values.shape()), std::move(use)});
}

void Readback::finish() {
  for (const Pending& pending : pending_) pending.use(pending.values);
  pending_.clear();
  block_ = 0;
  used_ = 0;
}

}  // namespace sparsevid
