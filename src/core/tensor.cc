#include "core/tensor.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <new>

namespace sparsevid {
namespace {

Shape row_major_strides(const Shape& shape) {
  Shape strides = shape;
  std::int64_t step = 1;
  for (int i = shape.rank() - 1; i >= 0; --i) {
    strides[i] = step;
    step *= shape[i];
  }
  return strides;
}

std::byte* offset(void* data, std::int64_t elements, DType dtype) {
  return static_cast<std::byte*>(data) + elements * static_cast<std::int64_t>(size_of(dtype));
}

}  // namespace

TensorView::TensorView(void* data, DType dtype, const Shape& shape, Device device)
    : TensorView(data, dtype, shape, row_major_strides(shape), device) {}

bool TensorView::contiguous() const {
  std::int64_t step = 1;
  for (int i = rank() - 1; i >= 0; --i) {
    if (size(i) != 1 && stride(i) != step) return false;
    step *= size(i);
  }
  return true;
}

TensorView TensorView::operator[](std::int64_t i) const {
  assert(rank() > 0 && i >= 0 && i < size(0));
  Shape shape;
  Shape strides;
  for (int axis = 1; axis < rank(); ++axis) {
    shape.push_back(size(axis));
    strides.push_back(stride(axis));
  }
  return {offset(data_, i * stride(0), dtype_), dtype_, shape, strides, device_};
}

TensorView TensorView::slice(int axis, std::int64_t begin, std::int64_t length) const {
  assert(begin >= 0 && length >= 0 && begin + length <= size(axis));
  Shape shape = shape_;
  shape[axis] = length;
  return {offset(data_, begin * stride(axis), dtype_), dtype_, shape, strides_, device_};
}

TensorView TensorView::reshape(const Shape& shape) const {
  assert(contiguous() && shape.numel() == numel());
  return {data_, dtype_, shape, device_};
}

TensorView TensorView::transpose(int a, int b) const {
  TensorView view = *this;
  std::swap(view.shape_[a], view.shape_[b]);
  std::swap(view.strides_[a], view.strides_[b]);
  return view;
}

namespace {
constexpr std::size_t kAlignment = 64;
constexpr std::size_t kHugePage = std::size_t{2} << 20;
}  // namespace

Tensor::Tensor(DType dtype, const Shape& shape) {
  const std::size_t bytes = static_cast<std::size_t>(shape.numel()) * size_of(dtype);
  const std::size_t alignment = bytes < kHugePage ? kAlignment : kHugePage;
  const std::size_t rounded = std::max(alignment, (bytes + alignment - 1) / alignment * alignment);
  memory_.reset(std::aligned_alloc(alignment, rounded));
  if (!memory_) throw std::bad_alloc();
  // Rows that an order scatters over memory are found faster in few large pages. Only a hint.
  if (alignment == kHugePage) madvise(memory_.get(), rounded, MADV_HUGEPAGE);
  view_ = TensorView(memory_.get(), dtype, shape);
}

void Tensor::Free::operator()(void* memory) const { std::free(memory); }

}  // namespace sparsevid
