#include "core/host_to_device.h"

#include <algorithm>
#include <cstring>

#include "base/parallel.h"
#include "core/cuda_runtime.h"

namespace sparsevid {
namespace {

constexpr std::size_t kPieceBytes = std::size_t{32} << 20;
constexpr std::int64_t kBytesPerTask = std::int64_t{1} << 20;

}  // namespace

void copy_on_host(void* to, const void* from, std::size_t bytes, int threads) {
  auto* target = static_cast<std::byte*>(to);
  const auto* source = static_cast<const std::byte*>(from);
  parallel_for(threads, static_cast<std::int64_t>(bytes), kBytesPerTask,
               [&](std::int64_t begin, std::int64_t end) {
                 std::memcpy(target + begin, source + begin, static_cast<std::size_t>(end - begin));
               });
}

HostToDevice::HostToDevice(const Context& context) : context_(context) {
  for (Piece& piece : pieces_) {
    piece.memory = cuda_runtime::allocate_pinned(kPieceBytes);
    piece.event = cuda_runtime::make_event();
  }
}

HostToDevice::~HostToDevice() {
  for (const Piece& piece : pieces_) {
    try {
      cuda_runtime::wait_for_event(piece.event);
    } catch (...) {
      // A device that failed is found again by whoever waits for the weights.
    }
    cuda_runtime::release_event(piece.event);
    cuda_runtime::release_pinned(piece.memory);
  }
}

void HostToDevice::copy(const TensorView& from, const TensorView& to) {
  const auto* source = static_cast<const std::byte*>(from.data());
  auto* target = static_cast<std::byte*>(to.data());
  for (std::size_t done = 0; done < from.bytes(); done += kPieceBytes) {
    const Piece& piece = pieces_[next_];
    next_ = 1 - next_;
    const std::size_t bytes = std::min(kPieceBytes, from.bytes() - done);
    cuda_runtime::wait_for_event(piece.event);
    copy_on_host(piece.memory, source + done, bytes, context_.threads);
    cuda_runtime::copy(target + done, to.device(), piece.memory, Device::cpu, bytes,
                       context_.stream);
    cuda_runtime::record_event(piece.event, context_.stream);
  }
}

}  // namespace sparsevid
