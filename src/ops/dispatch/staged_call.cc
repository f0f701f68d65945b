#include "ops/dispatch/staged_call.h"

#include <cstdlib>
#include <string_view>

namespace sparsevid::ops {

bool host_tensors_go_to_cuda() {
  static const bool asked = [] {
    const char* value = std::getenv("SPARSEVID_HOST_TENSORS_ON");
    return value != nullptr && std::string_view(value) == "cuda";
  }();
  return asked;
}

}  // namespace sparsevid::ops
