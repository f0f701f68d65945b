// The time of a GPU's stream, for profiles.
#pragma once

#include <vector>

#include "base/profile.h"
#include "core/device.h"

namespace sparsevid {

class CudaClock final : public DeviceClock {
 public:
  explicit CudaClock(Stream stream) : stream_(stream) {}
  ~CudaClock() override;
  CudaClock(const CudaClock&) = delete;
  CudaClock& operator=(const CudaClock&) = delete;

  Mark mark() override;
  double between(Mark from, Mark to) override;
  void release(Mark mark) override { unused_.push_back(mark); }

 private:
  Stream stream_;
  std::vector<void*> all_;
  std::vector<void*> unused_;
};

}  // namespace sparsevid
