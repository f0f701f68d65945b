#include "pipeline/run_report.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/cpu_features.h"
#include "base/error.h"
#include "pipeline/machine.h"
#include "pipeline/observed_attention.h"
#include "sparsevid/version.h"

namespace sparsevid {
namespace {

using OrderedJson = nlohmann::ordered_json;

constexpr std::string_view kOpPrefix = "op.";
constexpr std::string_view kPartPrefix = "attention.";  // zones of the methods: cluster, score, ...

/// One implementation of one op, from a zone named "op.<op>.<implementation>".
struct Kernel {
  std::string op;
  std::string implementation;
  Profile::Entry entry;
};

std::vector<Kernel> kernels_of(const Profile& profile) {
  std::vector<Kernel> kernels;
  for (const auto& [name, entry] : profile.entries()) {
    if (!name.starts_with(kOpPrefix)) continue;
    const auto dot = name.find('.', kOpPrefix.size());
    if (dot == std::string::npos) continue;
    kernels.push_back(
        {name.substr(kOpPrefix.size(), dot - kOpPrefix.size()), name.substr(dot + 1), entry});
  }
  std::sort(kernels.begin(), kernels.end(),
            [](const auto& a, const auto& b) { return a.entry.seconds > b.entry.seconds; });
  return kernels;
}

OrderedJson seconds_json(const RunReport& report) {
  OrderedJson json;
  json["total"] = report.seconds;
  for (const auto& [name, seconds] : report.stage_seconds) json["stages"][name] = seconds;
  json["steps"] = report.step_seconds;
  if (!report.busy_share.empty()) json["busy_share_of_steps"] = report.busy_share;
  json["attention"] = report.profile.seconds(kAttentionZone);
  for (const auto& [name, entry] : report.profile.entries())
    if (!name.starts_with(kOpPrefix))
      json["zones"][name] = {{"seconds", entry.seconds}, {"calls", entry.calls}};
  return json;
}

/// Mean density of each head over the sparse calls, an array for each layer; null for a layer
/// without any.
OrderedJson density_by_head(const AttentionStats& stats, int layers) {
  std::vector<std::vector<double>> sums(static_cast<std::size_t>(layers));
  std::vector<int> calls(static_cast<std::size_t>(layers), 0);
  for (const auto& call : stats.calls) {
    if (call.dense || call.head_density.empty()) continue;
    const auto layer = static_cast<std::size_t>(call.layer);
    sums[layer].resize(call.head_density.size(), 0);
    for (std::size_t head = 0; head < call.head_density.size(); ++head)
      sums[layer][head] += call.head_density[head];
    ++calls[layer];
  }
  OrderedJson json = OrderedJson::array();
  for (std::size_t layer = 0; layer < sums.size(); ++layer) {
    for (auto& value : sums[layer]) value /= calls[layer];
    if (calls[layer] == 0)
      json.push_back(nullptr);
    else
      json.push_back(sums[layer]);
  }
  return json;
}

OrderedJson attention_json(const RunReport& report) {
  const AttentionStats& stats = report.attention;
  OrderedJson json;
  json["method"] = stats.method;
  json["density"] = stats.density();
  json["sparse_density"] = stats.sparse_density();
  int layers = 0;
  int dense_calls = 0;
  for (const auto& call : stats.calls) {
    layers = std::max(layers, call.layer + 1);
    dense_calls += call.dense ? 1 : 0;
  }
  json["calls"] = stats.calls.size();
  json["dense_calls"] = dense_calls;
  for (std::size_t step = 0; step < report.step_seconds.size(); ++step)
    json["density_by_step"].push_back(stats.density_of_step(static_cast<int>(step)));
  for (int layer = 0; layer < layers; ++layer)
    json["density_by_layer"].push_back(stats.density_of_layer(layer));
  json["density_by_head"] = density_by_head(stats, layers);
  json["seconds"]["total"] = report.profile.seconds(kAttentionZone);
  for (const auto& [name, entry] : report.profile.entries())
    if (name.starts_with(kPartPrefix))
      json["seconds"][name.substr(kPartPrefix.size())] = entry.seconds;
  const ClusterHealth& health = stats.clusters;
  if (health.clusterings > 0)
    json["clusters"] = {{"clusterings", health.clusterings},
                        {"clusters", health.clusters},
                        {"empty", health.empty_clusters},
                        {"largest_share", health.largest_share},
                        {"mean_largest_share", health.mean_largest_share}};
  if (!stats.quality.relative_error.empty())
    json["quality"] = {{"mean_recall", stats.quality.mean_recall()},
                       {"recall_5th_percentile", stats.quality.recall_percentile(5)},
                       {"worst_recall", stats.quality.recall_percentile(0)},
                       {"mean_relative_error", stats.quality.mean_relative_error()}};
  return json;
}

OrderedJson memory_json(const RunReport& report) {
  OrderedJson json;
  json["peak_bytes"] = report.peak_bytes;
  json["free_bytes"] = report.free_bytes;
  json["planned_bytes"] = report.plan.phases.empty() ? 0 : report.plan.peak();
  json["planned_host_bytes"] = report.plan.host_bytes;
  for (const auto& phase : report.plan.phases)
    for (const auto& item : phase.items) json["plan"][phase.name][item.name] = item.bytes;
  if (report.gpu.empty()) return json;
  for (const auto& phase : report.phase_memory)
    json["used"][phase.name] = {{"held_bytes", phase.held}, {"device_bytes", phase.device}};
  json["allocations_after_first_step"] = report.late_allocations;
  return json;
}

std::string attention_line(const RunReport& report) {
  const AttentionStats& stats = report.attention;
  long sparse = 0;
  for (const auto& call : stats.calls) sparse += call.dense ? 0 : 1;
  std::string line = fmt::format("attention  {}", stats.method);
  if (sparse == 0) return line + ", every call dense";
  line += fmt::format(", density {:.3f}; {} of {} calls sparse at {:.3f}", stats.density(), sparse,
                      stats.calls.size(), stats.sparse_density());
  const ClusterHealth& health = stats.clusters;
  if (health.clusterings > 0)
    line += fmt::format("; clusters: {:.1f} % empty, the largest holds {:.1f} % of a head's tokens",
                        100.0 * static_cast<double>(health.empty_clusters) /
                            static_cast<double>(std::max(1L, health.clusters)),
                        100 * health.largest_share);
  for (const auto& [name, entry] : report.profile.entries())
    if (name.starts_with(kPartPrefix))
      line += fmt::format("; {} {:.2f} s", name.substr(kPartPrefix.size()), entry.seconds);
  return line;
}

}  // namespace

double RunReport::stage(std::string_view name) const {
  for (const auto& [stage, seconds] : stage_seconds)
    if (stage == name) return seconds;
  return 0;
}

std::string to_json(const RunReport& report) {
  OrderedJson json;
  json["sparsevid"] = version();
  json["model"] = report.model;
  json["output"] = report.output;
  if (!report.latents.empty()) json["latents"] = report.latents;
  json["settings"] = report.settings;
  json["machine"] = {{"cpu", cpu_name()},
                     {"isa", to_string(cpu_isa())},
                     {"cores", available_cores()},
                     {"threads", report.threads}};
  if (!report.gpu.empty()) json["machine"]["gpu"] = report.gpu;
  json["prompt_tokens"] = report.prompt_tokens;
  json["video_tokens"] = report.video_tokens;
  json["seconds"] = seconds_json(report);
  if (!report.attention.calls.empty()) json["attention"] = attention_json(report);
  for (const auto& kernel : kernels_of(report.profile))
    json["kernels"].push_back({{"op", kernel.op},
                               {"implementation", kernel.implementation},
                               {"calls", kernel.entry.calls},
                               {"seconds", kernel.entry.seconds}});
  json["memory"] = memory_json(report);
  return json.dump(2, ' ', false, OrderedJson::error_handler_t::replace) + "\n";
}

std::vector<std::string> summarize(const RunReport& report) {
  std::vector<std::string> lines;
  std::vector<std::string> stages;
  for (const auto& [name, seconds] : report.stage_seconds)
    if (seconds >= 0.005) stages.push_back(fmt::format("{} {:.2f} s", name, seconds));
  lines.push_back(fmt::format("time       {:.2f} s: {}", report.seconds, fmt::join(stages, ", ")));

  const double sampling = report.stage("sampling");
  if (sampling > 0) {
    const double attention = report.profile.seconds(kAttentionZone);
    lines.push_back(fmt::format(
        "sampling   {} steps of {} video tokens; self-attention {:.2f} s, {:.0f} % of it",
        report.step_seconds.size(), report.video_tokens, attention, 100 * attention / sampling));
    lines.push_back(attention_line(report));
  }

  std::vector<std::string> named;
  for (const auto& kernel : kernels_of(report.profile)) {
    if (named.size() == 6) break;
    named.push_back(
        fmt::format("{} {} {:.2f} s", kernel.op, kernel.implementation, kernel.entry.seconds));
  }
  const std::string where =
      report.gpu.empty() ? fmt::format("{} threads, {}", report.threads, to_string(cpu_isa()))
                         : report.gpu;
  lines.push_back(fmt::format("kernels    {} on {}: {}", to_string(report.dtype), where,
                              fmt::join(named, ", ")));
  lines.push_back(fmt::format("memory     {} at most", memory_text(report.peak_bytes)));
  return lines;
}

}  // namespace sparsevid
