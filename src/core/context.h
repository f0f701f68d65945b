// What every op gets besides its parameters: device, threads, scratch, timing, cancellation.
#pragma once

#include <atomic>

#include "base/cpu_features.h"
#include "base/error.h"
#include "base/profile.h"
#include "core/arena.h"
#include "core/device.h"

namespace sparsevid {

struct Context {
  explicit Context(Device where = Device::cpu) : device(where), arena(where) {}

  Device device;
  Stream stream = nullptr;
  int threads = available_cores();
  Arena arena;
  Profile profile;
  const std::atomic<bool>* cancel = nullptr;  // may be null

  /// Throws Error(cancelled) once the caller has asked to stop. Called between layers and chunks.
  void check_cancelled() const {
    if (cancel != nullptr && cancel->load(std::memory_order_relaxed))
      throw Error(ErrorKind::cancelled, "stopped on request");
  }
};

}  // namespace sparsevid
