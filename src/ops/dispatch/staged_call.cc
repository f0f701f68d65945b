#include "ops/dispatch/staged_call.h"

#include <cstdlib>
#include <string_view>

#include "base/error.h"

namespace sparsevid::ops {

bool host_tensors_go_to_cuda() {
  static const bool asked = [] {
    const char* value = std::getenv("SPARSEVID_HOST_TENSORS_ON");
    const std::string_view device = value == nullptr ? "" : value;
    require(device.empty() || device == "cuda", ErrorKind::bad_input,
            "SPARSEVID_HOST_TENSORS_ON: expected cuda, found '{}'", device);
    return device == "cuda";
  }();
  return asked;
}

}  // namespace sparsevid::ops
