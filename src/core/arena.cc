#include "core/arena.h"

#include <algorithm>

namespace sparsevid {
namespace {

constexpr std::size_t kAlignment = 256;  // what the widest GPU accesses ask for
constexpr std::size_t kSmallestBlock = std::size_t{1} << 22;
constexpr std::size_t kSmallestDeviceBlock = std::size_t{1} << 25;

}  // namespace

void* Arena::allocate(std::size_t bytes) {
  bytes = std::max(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment);
  while (block_ < blocks_.size() && used_ + bytes > blocks_[block_]->bytes()) {
    ++block_;
    used_ = 0;
  }
  if (block_ == blocks_.size()) {
    // A GPU's memory is planned: a block is no larger than what is asked of it.
    add_block(device_ == Device::cpu ? std::max({bytes, kSmallestBlock, capacity() / 2})
                                     : std::max(bytes, kSmallestDeviceBlock));
  }
  void* memory = blocks_[block_]->as<std::uint8_t>() + used_;
  used_ += bytes;
  peak_ = std::max(peak_, in_use());
  return memory;
}

TensorView Arena::tensor(DType dtype, const Shape& shape) {
  return {allocate(static_cast<std::size_t>(shape.numel()) * size_of(dtype)), dtype, shape,
          device_};
}

std::size_t Arena::capacity() const {
  std::size_t bytes = 0;
  for (const auto& block : blocks_) bytes += block->bytes();
  return bytes;
}

std::size_t Arena::in_use() const {
  std::size_t bytes = used_;
  for (std::size_t i = 0; i < block_ && i < blocks_.size(); ++i) bytes += blocks_[i]->bytes();
  return bytes;
}

void Arena::release(std::size_t block, std::size_t used) {
  block_ = block;
  used_ = used;
}

void Arena::add_block(std::size_t bytes) {
  blocks_.emplace_back(DType::u8, Shape{static_cast<std::int64_t>(bytes)}, device_);
  ++allocations_;
}

void Arena::reserve(std::size_t bytes) {
  clear();
  add_block(bytes);
}

void Arena::clear() {
  blocks_.clear();
  block_ = 0;
  used_ = 0;
}

}  // namespace sparsevid
