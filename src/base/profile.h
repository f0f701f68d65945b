// Where the seconds of a run went: a flat set of named zones.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace sparsevid {

/// The time of a device whose work is queued: a mark is passed when all work queued before it is
/// done.
class DeviceClock {
 public:
  using Mark = void*;
  virtual ~DeviceClock() = default;
  virtual Mark mark() = 0;
  /// Seconds between two passed marks, the second of which was made later.
  virtual double between(Mark from, Mark to) = 0;
  /// The mark is not used again.
  virtual void release(Mark mark) = 0;
};

/// When a zone ran, in seconds of now_seconds().
struct Span {
  std::string zone;
  int index = -1;  ///< which of several, a layer for instance; -1: does not matter
  double start = 0;
  double seconds = 0;
};

inline double now_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Seconds and calls per zone name ("attention", "linear", "vae.conv", ...). One thread writes it.
class Profile {
 public:
  struct Entry {
    double seconds = 0;
    long calls = 0;
  };
  /// Zones from now on are timed by this clock, until it is taken away with null.
  void use(DeviceClock* clock) { clock_ = clock; }
  DeviceClock* clock() const { return clock_; }
  /// From now on each zone is also written down by itself, at the end of `spans`.
  void trace(std::vector<Span>* spans) { spans_ = spans; }

  /// Where a zone timed by the clock begins.
  DeviceClock::Mark begin_on_device() {
    // What is queued first begins at once: that is where both clocks meet.
    if (spans_ != nullptr && origin_ == nullptr) {
      origin_ = clock_->mark();
      origin_seconds_ = now_seconds();
    }
    return clock_->mark();
  }
  void add_later(std::string_view zone, int index, DeviceClock::Mark from, DeviceClock::Mark to) {
    pending_.push_back({std::string(zone), index, from, to});
  }
  /// Adds what was timed by the clock; all queued work has to be done.
  void settle() {
    if (pending_.empty()) return;
    for (const auto& [zone, index, from, to] : pending_) {
      const double seconds = clock_->between(from, to);
      // From its end: a long zone may have begun before the origin.
      const double end = spans_ == nullptr ? 0 : origin_seconds_ + clock_->between(origin_, to);
      add(zone, index, end - seconds, seconds);
      clock_->release(from);
      if (&to != &pending_.back().to || spans_ == nullptr) clock_->release(to);
    }
    if (spans_ != nullptr) {
      // The latest mark: differences to a far one would be coarse.
      const DeviceClock::Mark latest = pending_.back().to;
      origin_seconds_ += clock_->between(origin_, latest);
      clock_->release(origin_);
      origin_ = latest;
    }
    pending_.clear();
  }

  void clear() { entries_.clear(); }
  void add(std::string_view zone, int index, double start, double seconds) {
    add(zone, seconds);
    if (spans_ != nullptr) spans_->push_back({std::string(zone), index, start, seconds});
  }
  void add(std::string_view zone, double seconds) {
    auto it = entries_.find(zone);
    if (it == entries_.end()) it = entries_.emplace(std::string(zone), Entry{}).first;
    it->second.seconds += seconds;
    it->second.calls += 1;
  }
  const std::map<std::string, Entry, std::less<>>& entries() const { return entries_; }
  double seconds(std::string_view zone) const {
    const auto it = entries_.find(zone);
    return it == entries_.end() ? 0 : it->second.seconds;
  }

 private:
  struct Pending {
    std::string zone;
    int index;
    DeviceClock::Mark from;
    DeviceClock::Mark to;
  };
  std::map<std::string, Entry, std::less<>> entries_;
  DeviceClock* clock_ = nullptr;
  std::vector<Pending> pending_;
  std::vector<Span>* spans_ = nullptr;
  DeviceClock::Mark origin_ = nullptr;  // passed at origin_seconds_
  double origin_seconds_ = 0;
};

/// Adds the lifetime of the object to a zone. Zones may nest; each counts its own whole time.
class Zone {
 public:
  Zone(Profile& profile, std::string_view name, int index = -1)
      : profile_(profile), name_(name), index_(index) {
    if (profile_.clock() != nullptr) {
      mark_ = profile_.begin_on_device();
    } else {
      start_ = now_seconds();
    }
  }
  ~Zone() {
    if (mark_ == nullptr) {
      profile_.add(name_, index_, start_, now_seconds() - start_);
      return;
    }
    try {
      profile_.add_later(name_, index_, mark_, profile_.clock()->mark());
    } catch (...) {
      // A device that failed gives no time; the failure itself is on its way up already.
    }
  }
  Zone(const Zone&) = delete;
  Zone& operator=(const Zone&) = delete;

 private:
  Profile& profile_;
  std::string_view name_;
  int index_;
  double start_ = 0;
  DeviceClock::Mark mark_ = nullptr;
};

}  // namespace sparsevid
