#include "thread_waiting.h"

#include <unistd.h>

#include <cstdlib>

namespace sparsevid::cli {

void let_waiting_threads_sleep(char** argv) {
  if (std::getenv("OMP_WAIT_POLICY") != nullptr || std::getenv("GOMP_SPINCOUNT") != nullptr) return;
  // Should the second start fail, this one goes on as it is.
  if (setenv("OMP_WAIT_POLICY", "passive", 0) == 0) execv("/proc/self/exe", argv);
}

}  // namespace sparsevid::cli
