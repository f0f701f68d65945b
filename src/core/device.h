// Where memory lives and kernels run.
#pragma once

#include <cstdint>
#include <string_view>

namespace sparsevid {

enum class Device : std::uint8_t { cpu, cuda };

constexpr std::string_view to_string(Device device) {
  return device == Device::cpu ? "cpu" : "cuda";
}

}  // namespace sparsevid
