#include "core/cuda_clock.h"

#include "core/cuda_runtime.h"

namespace sparsevid {

CudaClock::~CudaClock() {
  for (void* event : all_) cuda_runtime::release_event(event);
}

DeviceClock::Mark CudaClock::mark() {
  if (unused_.empty()) {
    all_.push_back(cuda_runtime::make_event());
    unused_.push_back(all_.back());
  }
  void* event = unused_.back();
  unused_.pop_back();
  cuda_runtime::record_event(event, stream_);
  return event;
}

double CudaClock::between(Mark from, Mark to) { return cuda_runtime::seconds_between(from, to); }

}  // namespace sparsevid
