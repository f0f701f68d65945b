#include "sparsevid/version.h"

namespace sparsevid {

const char* version() { return SPARSEVID_VERSION; }

}  // namespace sparsevid
