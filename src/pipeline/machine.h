// The machine a run was on, for its report.
#pragma once

#include <string>

namespace sparsevid {

/// "AMD EPYC 9755 128-Core Processor"; "unknown" where the system does not say.
std::string cpu_name();

}  // namespace sparsevid
