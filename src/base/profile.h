// Where the seconds of a run went: a flat set of named zones.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <string_view>

namespace sparsevid {

/// Seconds and calls per zone name ("attention", "linear", "vae.conv", ...). One thread writes it.
class Profile {
 public:
  struct Entry {
    double seconds = 0;
    long calls = 0;
  };
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
  std::map<std::string, Entry, std::less<>> entries_;
};

inline double now_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Adds the lifetime of the object to a zone. Zones may nest; each counts its own whole time.
class Zone {
 public:
  Zone(Profile& profile, std::string_view name)
      : profile_(profile), name_(name), start_(now_seconds()) {}
  ~Zone() { profile_.add(name_, now_seconds() - start_); }
  Zone(const Zone&) = delete;
  Zone& operator=(const Zone&) = delete;

 private:
  Profile& profile_;
  std::string_view name_;
  double start_;
};

}  // namespace sparsevid
