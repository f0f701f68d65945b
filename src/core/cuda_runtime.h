// The few calls of the CUDA runtime that memory needs: cuda_runtime.cc, or cuda_runtime_absent.cc
// in a build without CUDA.
#pragma once

#include <cstddef>

#include "core/device.h"

namespace sparsevid::cuda_runtime {

/// Whether cuda_unavailable() is about a driver or a GPU that is there.
bool gpu_left_out();

void* allocate(std::size_t bytes);
void release(void* memory);
void copy(void* to, Device to_device, const void* from, Device from_device, std::size_t bytes,
          Stream stream);
void clear(void* memory, std::size_t bytes, Stream stream);
void wait(Stream stream);

/// The peak of cuda_allocations() is that of what follows.
void begin_peak();
/// From now on this process holds no more than so many bytes of the GPU's memory; asking for more
/// is Error(out_of_memory). 0: as many as there are.
void limit_memory(std::size_t bytes);

/// Page-locked host memory.
void* allocate_pinned(std::size_t bytes);
void release_pinned(void* memory);
/// Locks the pages of memory that is there already, until they are unlocked.
void lock_pages(void* memory, std::size_t bytes);
void unlock_pages(void* memory);
/// From a GPU to page-locked memory; it has arrived when the stream has been waited for.
void copy_without_waiting(void* to_pinned, const void* from, std::size_t bytes, Stream stream);

/// A stream whose work runs beside that of all others.
Stream make_stream();
void release_stream(Stream stream);

/// A point in a stream. Waiting for one that was never recorded returns at once.
void* make_event();
void release_event(void* event);
void record_event(void* event, Stream stream);
void wait_for_event(void* event);
/// What is queued in the stream from now on begins when the event has passed.
void make_stream_wait(Stream stream, void* event);
/// Between two recorded and passed events.
double seconds_between(void* from, void* to);

}  // namespace sparsevid::cuda_runtime
