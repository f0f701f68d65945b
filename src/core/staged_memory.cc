#include "core/staged_memory.h"

#include <algorithm>
#include <cstring>

namespace sparsevid {
namespace {

constexpr std::size_t kAlignment = 256;

std::byte* first_byte(const TensorView& view) { return static_cast<std::byte*>(view.data()); }

std::byte* last_byte(const TensorView& view) {
  if (view.numel() == 0) return first_byte(view);
  std::int64_t elements = 1;
  for (int axis = 0; axis < view.rank(); ++axis)
    elements += (view.size(axis) - 1) * view.stride(axis);
  return first_byte(view) + elements * static_cast<std::int64_t>(size_of(view.dtype()));
}

}  // namespace

void StagedMemory::add(const TensorView& view) {
  Span span{first_byte(view), last_byte(view), {}};
  std::erase_if(spans_, [&](const Span& other) {
    if (other.begin >= span.end || span.begin >= other.end) return false;
    span.begin = std::min(span.begin, other.begin);
    span.end = std::max(span.end, other.end);
    return true;
  });
  spans_.push_back(std::move(span));
}

void StagedMemory::upload() {
  for (Span& span : spans_) {
    const std::ptrdiff_t bytes = span.end - span.begin;
    span.offset = reinterpret_cast<std::uintptr_t>(span.begin) % kAlignment;
    span.memory =
        Tensor(DType::u8, {bytes + static_cast<std::ptrdiff_t>(span.offset)}, Device::cuda);
    copy_memory(span.memory->as<std::uint8_t>() + span.offset, Device::cuda, span.begin,
                Device::cpu, static_cast<std::size_t>(bytes), nullptr);
  }
}

TensorView StagedMemory::staged(const TensorView& view) const {
  for (const Span& span : spans_) {
    if (first_byte(view) < span.begin || last_byte(view) > span.end) continue;
    return {span.memory->as<std::uint8_t>() + span.offset + (first_byte(view) - span.begin),
            view.dtype(), view.shape(), view.strides(), Device::cuda};
  }
  assert(false);
  return {};
}

void StagedMemory::download() const {
  std::vector<std::byte> result;
  for (const Span& span : spans_) {
    const auto bytes = static_cast<std::size_t>(span.end - span.begin);
    result.resize(bytes);
    copy_memory(result.data(), Device::cpu, span.memory->as<std::uint8_t>() + span.offset,
                Device::cuda, bytes, nullptr);
    if (std::memcmp(result.data(), span.begin, bytes) != 0)
      std::memcpy(span.begin, result.data(), bytes);
  }
}

}  // namespace sparsevid
