// A build without CUDA: there is no GPU, and nothing can reach these calls but a defect.
#include "base/error.h"
#include "core/cuda_runtime.h"

namespace sparsevid {
namespace {

[[noreturn]] void unreachable() { fail(ErrorKind::internal, "cuda: {}", cuda_unavailable()); }

}  // namespace

std::string cuda_unavailable() { return "this build is without CUDA"; }
std::string cuda_device_name() { unreachable(); }
int cuda_compute_capability() { return 0; }
DeviceMemory cuda_memory() { unreachable(); }
DeviceAllocations cuda_allocations() { return {0, 0, 0}; }

namespace cuda_runtime {

bool gpu_left_out() { return false; }
void* allocate(std::size_t) { unreachable(); }
void release(void*) {}
void copy(void*, Device, const void*, Device, std::size_t, Stream) { unreachable(); }
void clear(void*, std::size_t, Stream) { unreachable(); }
void wait(Stream) { unreachable(); }
void begin_peak() {}
void limit_memory(std::size_t) {}
void* allocate_pinned(std::size_t) { unreachable(); }
void release_pinned(void*) {}
void lock_pages(void*, std::size_t) { unreachable(); }
void unlock_pages(void*) {}
void copy_without_waiting(void*, const void*, std::size_t, Stream) { unreachable(); }
Stream make_stream() { unreachable(); }
void release_stream(Stream) {}
void* make_event() { unreachable(); }
void release_event(void*) {}
void record_event(void*, Stream) { unreachable(); }
void wait_for_event(void*) {}
void make_stream_wait(Stream, void*) { unreachable(); }
double seconds_between(void*, void*) { unreachable(); }

}  // namespace cuda_runtime
}  // namespace sparsevid
