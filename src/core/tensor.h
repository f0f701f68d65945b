// A strided view of typed memory, and an owner of it.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "core/device.h"
#include "core/dtype.h"
#include "core/shape.h"

namespace sparsevid {

/// A view: pointer, type, extents, strides in elements. Copying it copies no data. Inputs of ops
/// are passed as views too; an op writes only to what its contract calls an output.
class TensorView {
 public:
  TensorView() = default;
  /// Contiguous, row-major.
  TensorView(void* data, DType dtype, const Shape& shape, Device device = Device::cpu);
  TensorView(void* data, DType dtype, const Shape& shape, const Shape& strides,
             Device device = Device::cpu)
      : data_(data), shape_(shape), strides_(strides), dtype_(dtype), device_(device) {}

  bool defined() const { return data_ != nullptr; }
  void* data() const { return data_; }
  /// The data as T; asserts that the type matches.
  template <typename T>
  T* as() const {
    assert(DTypeOf<T>::value == dtype_);
    return static_cast<T*>(data_);
  }
  DType dtype() const { return dtype_; }
  Device device() const { return device_; }
  const Shape& shape() const { return shape_; }
  const Shape& strides() const { return strides_; }
  int rank() const { return shape_.rank(); }
  std::int64_t size(int axis) const { return shape_[axis]; }
  std::int64_t stride(int axis) const { return strides_[axis]; }
  std::int64_t numel() const { return shape_.numel(); }
  std::size_t bytes() const { return static_cast<std::size_t>(numel()) * size_of(dtype_); }
  bool contiguous() const;

  /// Index `i` of axis 0; one axis less.
  TensorView operator[](std::int64_t i) const;
  /// [begin, begin + length) of `axis`.
  TensorView slice(int axis, std::int64_t begin, std::int64_t length) const;
  /// The same memory with other extents; the view must be contiguous and numel equal.
  TensorView reshape(const Shape& shape) const;
  /// Axes `a` and `b` exchanged.
  TensorView transpose(int a, int b) const;

 private:
  void* data_ = nullptr;
  Shape shape_;
  Shape strides_;
  DType dtype_ = DType::f32;
  Device device_ = Device::cpu;
};

/// Owns 64-byte aligned memory of a device, uninitialised. Movable; copies would hide cost, so
/// there are none.
class Tensor {
 public:
  Tensor() = default;
  Tensor(DType dtype, const Shape& shape, Device device = Device::cpu);
  const TensorView& view() const { return view_; }
  operator const TensorView&() const { return view_; }  // NOLINT: a Tensor is a view that owns
  const TensorView* operator->() const { return &view_; }
  bool defined() const { return view_.defined(); }

 private:
  struct Free {
    Free() : device(Device::cpu) {}
    explicit Free(Device where) : device(where) {}
    Device device;
    void operator()(void* memory) const { release_memory(device, memory); }
  };
  std::unique_ptr<void, Free> memory_;
  TensorView view_;
};

}  // namespace sparsevid
