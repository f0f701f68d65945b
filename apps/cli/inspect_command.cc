#include <cinttypes>
#include <cstdio>
#include <memory>

#include "commands.h"
#include "exit_codes.h"
#include "sparsevid/sparsevid.h"

namespace sparsevid::cli {
namespace {

template <typename... Args>
std::string format(const char* pattern, Args... args) {
  char text[512];
  std::snprintf(text, sizeof text, pattern, args...);
  return text;
}

std::string size_text(std::uint64_t bytes) {
  const double mib = static_cast<double>(bytes) / (1 << 20);
  return mib < 1000 ? format("%.1f MiB", mib) : format("%.1f GiB", mib / 1024);
}

std::string count_text(std::uint64_t count) {
  const auto value = static_cast<double>(count);
  if (value >= 1e9) return format("%.2f G", value / 1e9);
  return value >= 1e6 ? format("%.1f M", value / 1e6) : format("%.1f k", value / 1e3);
}

std::string component_text(const ComponentInfo& component) {
  std::string text = format("%-14s %s\n", component.name.c_str(), component.class_name.c_str());
  text += format("%-14s %s parameters, %s", "", count_text(component.parameters).c_str(),
                 size_text(component.bytes).c_str());
  for (const auto& [type, bytes] : component.bytes_by_type)
    text += format(component.bytes_by_type.size() == 1 ? " %s" : " %s %s", type.c_str(),
                   size_text(bytes).c_str());
  text += "\n";
  for (const auto& fact : component.facts) text += format("%-14s ", "") + fact + "\n";
  for (const auto& problem : component.problems)
    text += format("%-14s problem: ", "") + problem + "\n";
  return text;
}

std::string info_text(const ModelInfo& info) {
  std::string text = info.path + "\n";
  text += format("%-14s %s (%s)\n", "family", info.family.c_str(), info.pipeline_class.c_str());
  text += format("%-14s %s, flow shift %g\n", "scheduler", info.scheduler.c_str(), info.flow_shift);
  text += format("%-14s %d x %d (height x width), %d frames, %g fps, %d steps, guidance %g, %s\n",
                 "defaults", info.height, info.width, info.frames, info.fps, info.steps,
                 info.guidance, info.attention.c_str());
  for (const auto& component : info.components) text += component_text(component);
  for (const auto& memory : info.memory) {
    text += format("%-14s %s: %s at most (", "memory", memory.precision.c_str(),
                   size_text(memory.peak_bytes).c_str());
    bool first = true;
    for (const auto& [stage, bytes] : memory.bytes_by_stage) {
      text += format("%s%s %s", first ? "" : ", ", stage.c_str(), size_text(bytes).c_str());
      first = false;
    }
    text += ")\n";
  }
  return text;
}

}  // namespace

void add_inspect(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand(
      "inspect", "Show what a checkpoint is and what is wrong with it; reads no weights");
  const auto folder = std::make_shared<std::string>();
  const auto json = std::make_shared<bool>(false);
  command->add_option("folder", *folder, "Checkpoint folder")->required()->type_name("FOLDER");
  command->add_flag("--json", *json, "As JSON");
  command->callback([=, &exit_code] {
    const ModelInfo info = inspect(*folder);
    write_stdout(*json ? to_json(info) : info_text(info));
    if (info.usable()) return;
    std::size_t problems = 0;
    for (const auto& component : info.components) problems += component.problems.size();
    std::fprintf(stderr, "sparsevid: error: %s: the checkpoint has %zu problem%s\n",
                 folder->c_str(), problems, problems == 1 ? "" : "s");
    exit_code = kBadInput;
  });
}

}  // namespace sparsevid::cli
