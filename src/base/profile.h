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
  /// Seconds between two passed marks, which must not be used again.
  virtual double between(Mark from, Mark to) = 0;
};

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
  void add_later(std::string_view zone, DeviceClock::Mark from, DeviceClock::Mark to) {
    pending_.push_back({std::string(zone), from, to});
  }
  /// Adds what was timed by the clock; all queued work has to be done.
  void settle() {
    for (const auto& [zone, from, to] : pending_) add(zone, clock_->between(from, to));
    pending_.clear();
  }

  void clear() { entries_.clear(); }
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
    DeviceClock::Mark from;
    DeviceClock::Mark to;
  };
  std::map<std::string, Entry, std::less<>> entries_;
  DeviceClock* clock_ = nullptr;
  std::vector<Pending> pending_;
};

inline double now_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Adds the lifetime of the object to a zone. Zones may nest; each counts its own whole time.
class Zone {
 public:
  Zone(Profile& profile, std::string_view name) : profile_(profile), name_(name) {
    if (profile_.clock() != nullptr) {
      mark_ = profile_.clock()->mark();
    } else {
      start_ = now_seconds();
    }
  }
  ~Zone() {
    if (mark_ == nullptr) {
      profile_.add(name_, now_seconds() - start_);
      return;
    }
    try {
      profile_.add_later(name_, mark_, profile_.clock()->mark());
    } catch (...) {
      // A device that failed gives no time; the failure itself is on its way up already.
    }
  }
  Zone(const Zone&) = delete;
  Zone& operator=(const Zone&) = delete;

 private:
  Profile& profile_;
  std::string_view name_;
  double start_ = 0;
  DeviceClock::Mark mark_ = nullptr;
};

}  // namespace sparsevid
