// How much memory a generation takes, phase by phase, against what is free.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/device.h"

namespace sparsevid {

class Recipe;
struct Settings;

struct MemoryItem {
  std::string name;  ///< "transformer weights (bf16)"
  std::uint64_t bytes;
  bool scratch = false;  ///< taken from the run's arena
};

/// One phase; the parts of a phase are freed before the next begins.
struct MemoryPhase {
  std::string name;  ///< "text", "sampling", "decoding"
  std::vector<MemoryItem> items;
  std::uint64_t total() const;
  std::uint64_t scratch() const;
};

struct MemoryPlan {
  std::vector<MemoryPhase> phases;
  std::uint64_t host_bytes = 0;  ///< page-locked host memory of a run on a GPU
  /// The phase that takes most.
  const MemoryPhase& largest() const;
  std::uint64_t peak() const { return largest().total(); }
};

/// What the recipe's parts take on the settings' device, and what every run takes there besides: on
/// the CPU the program and the pictures the video encoder holds back, on a GPU its libraries.
MemoryPlan plan_memory(const Recipe& recipe, const Settings& settings);

/// The settings with no more blocks streamed than have to be, if they are to be offloaded at all.
Settings fitted(const Recipe& recipe, Settings settings, std::uint64_t free);

/// "12.3 GiB", "640 MiB", "12 KiB"
std::string memory_text(std::uint64_t bytes);

/// Bytes of scratch the phase takes; 0 for a phase that the plan has not.
std::uint64_t planned_scratch(const MemoryPlan& plan, std::string_view phase);

/// What a run can take of its device.
std::uint64_t free_memory_for(const Settings& settings);

/// Bytes the process can still take without swapping: MemAvailable, less where a control group
/// allows less. `root` is the file system's root, for tests.
std::uint64_t free_memory(const std::string& root = "");

/// Most memory this process has held so far (VmHWM).
std::uint64_t peak_memory();

/// Throws Error(out_of_memory) with the numbers, and with the settings that would fit, when the
/// plan takes more than `free`, or more host memory than `free_on_host`. Logs the plan in the
/// category memory.
void check_memory(const Recipe& recipe, const Settings& settings, std::uint64_t free,
                  std::uint64_t free_on_host);

}  // namespace sparsevid
