// Timing of ops and attention methods.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <vector>

#pragma GCC visibility push(default)
namespace sparsevid {

struct BenchOptions {
  std::string filter;           ///< only names that contain it; empty: all
  std::string device = "auto";  ///< cpu, cuda, or auto: a GPU where one can be used
  int threads = 0;              ///< 0: all cores
  double seconds = 0.5;         ///< at least this long per case
  const std::atomic<bool>* cancel = nullptr;
};

struct BenchResult {
  std::string op;        ///< "linear"
  std::string name;      ///< the case: "bf16 4096x5120x5120 onednn"
  double us = 0;         ///< median of the repeats
  double tflops = 0;     ///< 0 where counting them makes no sense
  double gbps = 0;       ///< bytes that must move, by the time
  std::string baseline;  ///< what ratio or share compares with, measured in the same run
  double ratio = 0;      ///< speed against the baseline, above 1 is faster; 0: none
  double share = 0;      ///< of a part of a method: its time over the baseline's; else 0
};

/// One whole attention method at one size, everything included.
struct AttentionBenchOptions {
  std::string method = "semantic-tail";
  int heads = 8;
  int tokens = 16384;
  int text_tokens = 0;  ///< of these, behind the video's
  int head_dim = 128;
  double density = 0.25;
  int query_clusters = 0;  ///< 0: the method's own for this many tokens
  int key_clusters = 0;
  int steps = 45;  ///< to average over, since not every one clusters: of 50 with a tenth dense
  std::string dtype = "bf16";
  std::string data = "video";  ///< smooth over frames and pixels as a model's; or "normal": noise
};

/// "op case", one per benchmark that bench() would run.
std::vector<std::string> bench_names(const BenchOptions& options);
/// Calls `sink` after each case.
void bench(const BenchOptions& options, const std::function<void(const BenchResult&)>& sink);
void bench_attention(const AttentionBenchOptions& attention, const BenchOptions& options,
                     const std::function<void(const BenchResult&)>& sink);

/// One line of JSON.
std::string to_json(const BenchResult& result);

}  // namespace sparsevid
#pragma GCC visibility pop
