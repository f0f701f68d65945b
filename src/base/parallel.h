// Loops over all threads of the machine, on OpenMP (the pool oneDNN uses too, so that they share
// it).
#pragma once

#include <omp.h>

#include <algorithm>
#include <cstdint>
#include <exception>

namespace sparsevid {

/// Calls body(begin, end) for pieces of [0, count) of at most `grain` items, handed out dynamically
/// to `threads` threads. The first exception thrown by a body is rethrown on the calling thread.
template <typename Body>
void parallel_for(int threads, std::int64_t count, std::int64_t grain, const Body& body) {
  if (count <= 0) return;
  grain = std::max<std::int64_t>(grain, 1);
  const std::int64_t pieces = (count + grain - 1) / grain;
  if (threads <= 1 || pieces == 1 || omp_in_parallel()) {
    for (std::int64_t p = 0; p < pieces; ++p) body(p * grain, std::min(count, (p + 1) * grain));
    return;
  }
  std::exception_ptr error;
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
  for (std::int64_t p = 0; p < pieces; ++p) {
    try {
      body(p * grain, std::min(count, (p + 1) * grain));
    } catch (...) {
#pragma omp critical(sparsevid_parallel_error)
      if (!error) error = std::current_exception();
    }
  }
  if (error) std::rethrow_exception(error);
}

/// The index of the calling thread inside a parallel_for, in [0, threads).
inline int thread_index() { return omp_get_thread_num(); }

}  // namespace sparsevid
