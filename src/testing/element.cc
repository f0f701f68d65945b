#include "testing/element.h"

#include <limits>

namespace sparsevid {

double element(const TensorView& view, std::int64_t index) {
  std::int64_t offset = 0;
  for (int axis = view.rank() - 1; axis >= 0; --axis) {
    offset += index % view.size(axis) * view.stride(axis);
    index /= view.size(axis);
  }
  switch (view.dtype()) {
    case DType::f64:
      return view.as<double>()[offset];
    case DType::f32:
      return view.as<float>()[offset];
    case DType::f16:
      return static_cast<float>(view.as<f16>()[offset]);
    case DType::bf16:
      return static_cast<float>(view.as<bf16>()[offset]);
    case DType::i64:
      return static_cast<double>(view.as<std::int64_t>()[offset]);
    case DType::i32:
      return view.as<std::int32_t>()[offset];
    case DType::u8:
      return view.as<std::uint8_t>()[offset];
  }
  return std::numeric_limits<double>::quiet_NaN();
}

}  // namespace sparsevid
