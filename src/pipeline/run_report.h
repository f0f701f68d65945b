// What a run was asked, what ran, and where the seconds and bytes went.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "attention/attention_stats.h"
#include "base/profile.h"
#include "pipeline/memory_plan.h"
#include "pipeline/settings.h"

namespace sparsevid {

/// What a phase took of a GPU's memory.
struct PhaseMemory {
  std::string name;
  std::uint64_t held = 0;    ///< most that was asked for at once
  std::uint64_t device = 0;  ///< what the device had given away at its end: libraries too
};

struct RunReport {
  Metadata settings;
  std::string model;  ///< folder
  std::string output;
  std::string latents;  ///< empty when not kept
  DType dtype = DType::f32;
  int threads = 0;
  std::string gpu;  ///< name; empty for a run on the CPU
  int prompt_tokens = 0;
  int video_tokens = 0;                                       ///< of the transformer's sequence
  std::vector<std::pair<std::string, double>> stage_seconds;  ///< in order
  std::vector<double> step_seconds;
  double seconds = 0;
  Profile profile;
  AttentionStats attention;
  MemoryPlan plan;
  std::vector<PhaseMemory> phase_memory;  ///< of a run on a GPU
  long late_allocations = 0;              ///< of GPU memory after the first step, while sampling
  std::vector<double> busy_share;         ///< of each step: time in ops
  std::uint64_t free_bytes = 0;
  std::uint64_t peak_bytes = 0;  ///< of the process, or what it held on the GPU

  double stage(std::string_view name) const;
};

/// Indented JSON.
std::string to_json(const RunReport& report);

/// A few lines for a reader: seconds by stage, kernels, density.
std::vector<std::string> summarize(const RunReport& report);

}  // namespace sparsevid
