// The few calls of the CUDA runtime that memory needs: cuda_runtime.cc, or cuda_runtime_absent.cc
// in a build without CUDA.
#pragma once

#include <cstddef>

#include "core/device.h"

namespace sparsevid::cuda_runtime {

void* allocate(std::size_t bytes);
void release(void* memory);
void copy(void* to, Device to_device, const void* from, Device from_device, std::size_t bytes,
          Stream stream);
void clear(void* memory, std::size_t bytes, Stream stream);
void wait(Stream stream);

/// Page-locked host memory.
void* allocate_pinned(std::size_t bytes);
void release_pinned(void* memory);
/// From a GPU to page-locked memory; it has arrived when the stream has been waited for.
void copy_without_waiting(void* to_pinned, const void* from, std::size_t bytes, Stream stream);

/// A point in a stream. Waiting for one that was never recorded returns at once.
void* make_event();
void release_event(void* event);
void record_event(void* event, Stream stream);
void wait_for_event(void* event);
/// Between two recorded and passed events.
double seconds_between(void* from, void* to);

}  // namespace sparsevid::cuda_runtime
