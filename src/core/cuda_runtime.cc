#include "core/cuda_runtime.h"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <mutex>
#include <unordered_map>

#include "base/error.h"

namespace sparsevid {
namespace {

void check(cudaError_t status, const char* what) {
  if (status != cudaSuccess)
    fail(ErrorKind::internal, "cuda: {}: {}", what, cudaGetErrorString(status));
}

cudaStream_t handle(Stream stream) { return static_cast<cudaStream_t>(stream); }

/// Sizes of what is held, so that a run can say what it took and that a step took nothing.
class Ledger {
 public:
  void add(void* memory, std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    sizes_[memory] = bytes;
    now_.count += 1;
    now_.bytes += bytes;
    now_.peak_bytes = std::max(now_.peak_bytes, now_.bytes);
  }
  void remove(void* memory) {
    const std::lock_guard lock(mutex_);
    const auto it = sizes_.find(memory);
    if (it == sizes_.end()) return;
    now_.bytes -= it->second;
    sizes_.erase(it);
  }
  DeviceAllocations now() {
    const std::lock_guard lock(mutex_);
    return now_;
  }
  void begin_peak() {
    const std::lock_guard lock(mutex_);
    now_.peak_bytes = now_.bytes;
  }
  void limit(std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    limit_ = bytes;
  }
  /// The limit that so many bytes more would break, else 0.
  std::size_t broken_limit(std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    return limit_ > 0 && now_.bytes + bytes > limit_ ? limit_ : 0;
  }

 private:
  std::mutex mutex_;
  std::unordered_map<void*, std::size_t> sizes_;
  DeviceAllocations now_{0, 0, 0};
  std::size_t limit_ = 0;
};

Ledger& ledger() {
  static Ledger instance;
  return instance;
}

double gibibytes(std::size_t bytes) {
  return static_cast<double>(bytes) / static_cast<double>(std::size_t{1} << 30);
}

int capability_of_device() {
  int major = 0;
  int minor = 0;
  check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0), "device");
  check(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, 0), "device");
  return 10 * major + minor;
}

cudaMemcpyKind kind_of(Device to, Device from) {
  if (to == Device::cpu) return cudaMemcpyDeviceToHost;
  return from == Device::cpu ? cudaMemcpyHostToDevice : cudaMemcpyDeviceToDevice;
}

struct Availability {
  std::string reason;  // why not; empty where a GPU can be used
  bool left_out = false;
};

/// "12.4" of 12040.
std::string version_text(int version) {
  return fmt::format("{}.{}", version / 1000, version % 1000 / 10);
}

Availability look_for_gpu() {
  int driver = 0;
  if (cudaDriverGetVersion(&driver) == cudaSuccess && driver == 0)
    return {"there is no NVIDIA driver"};
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  (void)cudaGetLastError();
  if (status == cudaErrorNoDevice || (status == cudaSuccess && count == 0))
    return {"there is no NVIDIA GPU"};
  if (status == cudaErrorInsufficientDriver)
    return {fmt::format("the NVIDIA driver is made for CUDA {}, expected {} or newer",
                        version_text(driver), version_text(CUDART_VERSION)),
            true};
  if (status != cudaSuccess)
    return {fmt::format("the NVIDIA GPU cannot be used: {}", cudaGetErrorString(status)), true};
  const int capability = capability_of_device();
  if (capability < 80)
    return {fmt::format("the GPU has compute capability {}.{}, expected 8.0 or more",
                        capability / 10, capability % 10),
            true};
  return {};
}

const Availability& availability() {
  static const Availability found = look_for_gpu();
  return found;
}

}  // namespace

std::string cuda_unavailable() { return availability().reason; }

int cuda_compute_capability() { return cuda_unavailable().empty() ? capability_of_device() : 0; }

std::string cuda_device_name() {
  cudaDeviceProp properties;
  check(cudaGetDeviceProperties(&properties, 0), "device");
  return fmt::format("{}, compute capability {}.{}, {:.1f} GiB", properties.name, properties.major,
                     properties.minor, gibibytes(properties.totalGlobalMem));
}

DeviceMemory cuda_memory() {
  DeviceMemory memory{};
  check(cudaMemGetInfo(&memory.free, &memory.total), "memory");
  return memory;
}

DeviceAllocations cuda_allocations() { return ledger().now(); }

namespace cuda_runtime {

bool gpu_left_out() { return availability().left_out; }

void* allocate(std::size_t bytes) {
  if (const std::size_t limit = ledger().broken_limit(bytes))
    fail(ErrorKind::out_of_memory,
         "GPU memory: {:.2f} GiB were asked for, {:.2f} of {:.2f} allowed are held",
         gibibytes(bytes), gibibytes(cuda_allocations().bytes), gibibytes(limit));
  void* memory = nullptr;
  const cudaError_t status = cudaMalloc(&memory, std::max<std::size_t>(bytes, 64));
  if (status == cudaErrorMemoryAllocation) {
    (void)cudaGetLastError();
    const DeviceMemory left = cuda_memory();
    fail(ErrorKind::out_of_memory,
         "GPU memory: {:.2f} GiB were asked for, {:.2f} of {:.2f} are free", gibibytes(bytes),
         gibibytes(left.free), gibibytes(left.total));
  }
  check(status, "allocation");
  ledger().add(memory, bytes);
  return memory;
}

void release(void* memory) {
  ledger().remove(memory);
  (void)cudaFree(memory);
}

void copy(void* to, Device to_device, const void* from, Device from_device, std::size_t bytes,
          Stream stream) {
  check(cudaMemcpyAsync(to, from, bytes, kind_of(to_device, from_device), handle(stream)), "copy");
  if (to_device == Device::cpu) wait(stream);
}

void clear(void* memory, std::size_t bytes, Stream stream) {
  check(cudaMemsetAsync(memory, 0, bytes, handle(stream)), "clear");
}

void wait(Stream stream) { check(cudaStreamSynchronize(handle(stream)), "kernel"); }

void begin_peak() { ledger().begin_peak(); }

void limit_memory(std::size_t bytes) { ledger().limit(bytes); }

void* allocate_pinned(std::size_t bytes) {
  void* memory = nullptr;
  check(cudaHostAlloc(&memory, bytes, cudaHostAllocDefault), "page-locked memory");
  return memory;
}

void release_pinned(void* memory) { (void)cudaFreeHost(memory); }

void copy_without_waiting(void* to_pinned, const void* from, std::size_t bytes, Stream stream) {
  check(cudaMemcpyAsync(to_pinned, from, bytes, cudaMemcpyDeviceToHost, handle(stream)), "copy");
}

void lock_pages(void* memory, std::size_t bytes) {
  check(cudaHostRegister(memory, bytes, cudaHostRegisterDefault), "page-locked memory");
}

void unlock_pages(void* memory) { (void)cudaHostUnregister(memory); }

Stream make_stream() {
  cudaStream_t stream = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "stream");
  return stream;
}

void release_stream(Stream stream) { (void)cudaStreamDestroy(handle(stream)); }

void* make_event() {
  cudaEvent_t event = nullptr;
  check(cudaEventCreate(&event), "event");
  return event;
}

void release_event(void* event) { (void)cudaEventDestroy(static_cast<cudaEvent_t>(event)); }

void record_event(void* event, Stream stream) {
  check(cudaEventRecord(static_cast<cudaEvent_t>(event), handle(stream)), "event");
}

void wait_for_event(void* event) {
  check(cudaEventSynchronize(static_cast<cudaEvent_t>(event)), "event");
}

void make_stream_wait(Stream stream, void* event) {
  check(cudaStreamWaitEvent(handle(stream), static_cast<cudaEvent_t>(event), 0), "event");
}

double seconds_between(void* from, void* to) {
  float milliseconds = 0;
  check(cudaEventElapsedTime(&milliseconds, static_cast<cudaEvent_t>(from),
                             static_cast<cudaEvent_t>(to)),
        "event");
  return milliseconds / 1e3;
}

}  // namespace cuda_runtime
}  // namespace sparsevid
