#include "pipeline/memory_plan.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <sstream>

#include "base/error.h"
#include "base/log.h"
#include "pipeline/recipe.h"

namespace sparsevid {
namespace {

/// Code, libraries and small things.
constexpr std::uint64_t kProgramBytes = 64 << 20;
/// Kernels loaded at their first use, and small tables.
constexpr std::uint64_t kGpuLibraryBytes = std::uint64_t{128} << 20;
/// Pictures that libx264 looks ahead and refers to, in its own format and in ours.
constexpr std::uint64_t kEncoderPictures = 60;

/// The number after `key` in a file of "key: value kB" or "key value" lines.
std::optional<std::uint64_t> value_in(const std::string& path, const std::string& key) {
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) {
    std::istringstream words(line);
    std::string name;
    std::uint64_t value = 0;
    if (words >> name >> value && name == key) return value;
  }
  return std::nullopt;
}

std::optional<std::uint64_t> number_in(const std::string& path) {
  std::ifstream file(path);
  std::uint64_t value = 0;
  if (file >> value) return value;
  return std::nullopt;  // missing, or "max"
}

/// What a control group leaves; page cache it holds can be reclaimed and counts as free.
std::optional<std::uint64_t> left_in_group(const std::string& folder, const char* limit_name,
                                           const char* usage_name, const char* cache_key) {
  const auto limit = number_in(folder + limit_name);
  const auto used = number_in(folder + usage_name);
  if (!limit || !used) return std::nullopt;
  const std::uint64_t cache = value_in(folder + "memory.stat", cache_key).value_or(0);
  const std::uint64_t held = *used - std::min(*used, cache);
  return *limit - std::min(*limit, held);
}

/// The folders of this process' control group and of those around it.
std::vector<std::string> group_folders(const std::string& root, const std::string& mount,
                                       const std::string& controller) {
  std::vector<std::string> folders = {mount + "/"};
  std::ifstream file(root + "/proc/self/cgroup");
  std::string line;
  while (std::getline(file, line)) {
    const auto first = line.find(':');
    const auto second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    if (line.substr(first + 1, second - first - 1) != controller) continue;
    for (std::string path = line.substr(second + 1); path.size() > 1;
         path = path.substr(0, path.find_last_of('/')))
      folders.push_back(mount + path + "/");
  }
  return folders;
}

/// `settings` with another size, type or length, and the flags that say so.
struct Alternative {
  Settings settings;
  std::string flags;
};

bool fits(const Recipe& recipe, const Settings& settings, std::uint64_t free) {
  return plan_memory(recipe, fitted(recipe, settings, free)).peak() <= free;
}

/// What costs least first: other ways to keep the weights of the model.
std::vector<Alternative> other_weights(const Settings& settings) {
  std::vector<Alternative> found;
  const auto add = [&](const Settings& changed, const std::string& flags) {
    found.push_back({changed, flags});
  };
  Settings half = settings;
  half.dtype = DType::bf16;
  if (settings.dtype == DType::f32) add(half, "--dtype bf16");
  // It needs no second copy of what a convolution reads.
  Settings tf32 = settings;
  tf32.vae_products = ops::F32Products::tf32;
  if (vae_arithmetic(settings) == "bf16x3") add(tf32, "--vae-dtype tf32");
  Settings half_vae = settings;
  half_vae.vae_dtype = DType::bf16;
  half_vae.vae_products = ops::F32Products::exact;
  if (settings.vae_dtype == DType::f32 && settings.device == Device::cuda)
    add(half_vae, "--vae-dtype bf16");
  if (settings.device == Device::cpu) return found;
  Settings fp8 = settings;
  fp8.fp8_linears = true;
  if (!settings.fp8_linears && settings.dtype == DType::bf16 && fp8_linears_run_here())
    add(fp8, "--linear fp8");
  // Each way of offloading alone, then with what makes numbers smaller.
  const std::vector<Alternative> smaller = found;
  for (const auto& [offload, flag] : {std::pair{Offload::text, "--offload text"},
                                      std::pair{Offload::blocks, "--offload blocks"}}) {
    if (offload <= settings.offload) continue;
    Settings changed = settings;
    changed.offload = offload;
    add(changed, flag);
  }
  for (const Alternative& alternative : smaller) {
    if (settings.offload == Offload::blocks) continue;
    Settings changed = alternative.settings;
    changed.offload = Offload::blocks;
    add(changed, alternative.flags + " --offload blocks");
  }
  return found;
}

/// The longest shorter clip that fits, if any.
std::optional<Alternative> fewer_frames(const Recipe& recipe, Settings settings,
                                        std::uint64_t free) {
  const int multiple = recipe.limits().frame_multiple;
  while (settings.frames > 1) {
    settings.frames = std::max(1, settings.frames - multiple);
    if (fits(recipe, settings, free))
      return Alternative{settings, fmt::format("--frames {}", settings.frames)};
  }
  return std::nullopt;
}

/// The largest smaller picture of about the same shape that fits, if any.
std::optional<Alternative> smaller_size(const Recipe& recipe, Settings settings,
                                        std::uint64_t free) {
  const int multiple = recipe.limits().size_multiple;
  const double height = settings.height;
  const double width = settings.width;
  for (int tenths = 9; tenths > 2; --tenths) {
    const auto scaled = [&](double side) {
      return std::max(multiple, static_cast<int>(side * tenths / 10) / multiple * multiple);
    };
    settings.height = scaled(height);
    settings.width = scaled(width);
    if (fits(recipe, settings, free))
      return Alternative{settings,
                         fmt::format("--height {} --width {}", settings.height, settings.width)};
  }
  return std::nullopt;
}

std::string advice(const Recipe& recipe, const Settings& settings, std::uint64_t free) {
  std::vector<std::string> options;
  for (const Alternative& alternative : other_weights(settings))
    if (fits(recipe, alternative.settings, free)) options.push_back(alternative.flags);
  // The first combination that fits is enough: those behind it ask for more.
  const auto combined = std::find_if(options.begin(), options.end(), [](const std::string& flags) {
    return flags.find(" --") != std::string::npos;
  });
  if (combined != options.end())
    options.erase(combined == options.begin() ? combined + 1 : combined, options.end());
  if (settings.decode_only)
    return options.empty() ? "these latents need a larger machine"
                           : fmt::format("it would fit with {}", fmt::join(options, ", or with "));
  for (const auto& alternative :
       {fewer_frames(recipe, settings, free), smaller_size(recipe, settings, free)})
    if (alternative) options.push_back(alternative->flags);
  for (const Alternative& alternative : other_weights(settings)) {
    if (!options.empty()) break;
    if (const auto both = smaller_size(recipe, alternative.settings, free))
      options.push_back(alternative.flags + " " + both->flags);
  }
  if (options.empty()) return "no smaller size or length would fit; a larger machine would";
  return fmt::format("it would fit with {}", fmt::join(options, ", or with "));
}

}  // namespace

std::uint64_t MemoryPhase::total() const {
  std::uint64_t sum = 0;
  for (const auto& item : items) sum += item.bytes;
  return sum;
}

std::uint64_t MemoryPhase::scratch() const {
  std::uint64_t sum = 0;
  for (const auto& item : items) sum += item.scratch ? item.bytes : 0;
  return sum;
}

std::uint64_t planned_scratch(const MemoryPlan& plan, std::string_view phase) {
  for (const auto& candidate : plan.phases)
    if (candidate.name == phase) return candidate.scratch();
  return 0;
}

std::uint64_t free_memory_for(const Settings& settings) {
  if (settings.device == Device::cpu) return free_memory();
  const std::uint64_t free = cuda_memory().free;
  return settings.max_vram == 0 ? free : std::min(free, settings.max_vram);
}

Settings fitted(const Recipe& recipe, Settings settings, std::uint64_t free) {
  settings.streamed_blocks = 0;
  if (settings.offload != Offload::blocks) return settings;
  // What streams costs time where the bus is slow: the fewest blocks that have to.
  int enough = recipe.blocks();
  int too_few = -1;
  while (enough - too_few > 1) {
    const int middle = (enough + too_few) / 2;
    settings.streamed_blocks = middle;
    (plan_memory(recipe, settings).peak() <= free ? enough : too_few) = middle;
  }
  settings.streamed_blocks = enough;
  return settings;
}

const MemoryPhase& MemoryPlan::largest() const {
  return *std::max_element(phases.begin(), phases.end(),
                           [](const auto& a, const auto& b) { return a.total() < b.total(); });
}

MemoryPlan plan_memory(const Recipe& recipe, const Settings& settings) {
  MemoryPlan plan = recipe.memory_plan(settings);
  if (settings.device == Device::cuda) {
    for (auto& phase : plan.phases) phase.items.push_back({"GPU libraries", kGpuLibraryBytes});
    return plan;
  }
  for (auto& phase : plan.phases) phase.items.push_back({"program", kProgramBytes});
  const auto pixels =
      static_cast<std::uint64_t>(settings.height) * static_cast<std::uint64_t>(settings.width);
  plan.phases.back().items.push_back({"video encoder", kEncoderPictures * pixels * 3});
  return plan;
}

std::string memory_text(std::uint64_t bytes) {
  const double mib = static_cast<double>(bytes) / (1 << 20);
  if (mib < 1) return fmt::format("{:.0f} KiB", 1024 * mib);
  return mib < 1000 ? fmt::format("{:.0f} MiB", mib) : fmt::format("{:.1f} GiB", mib / 1024);
}

std::uint64_t free_memory(const std::string& root) {
  std::uint64_t free = std::numeric_limits<std::uint64_t>::max();
  if (const auto kib = value_in(root + "/proc/meminfo", "MemAvailable:")) free = *kib * 1024;
  const std::string mount = root + "/sys/fs/cgroup";
  for (const auto& folder : group_folders(root, mount, ""))
    if (const auto left = left_in_group(folder, "memory.max", "memory.current", "inactive_file"))
      free = std::min(free, *left);
  for (const auto& folder : group_folders(root, mount + "/memory", "memory"))
    if (const auto left = left_in_group(folder, "memory.limit_in_bytes", "memory.usage_in_bytes",
                                        "total_inactive_file"))
      free = std::min(free, *left);
  return free;
}

std::uint64_t peak_memory() { return value_in("/proc/self/status", "VmHWM:").value_or(0) * 1024; }

void check_memory(const Recipe& recipe, const Settings& settings, std::uint64_t free,
                  std::uint64_t free_on_host) {
  const MemoryPlan plan = plan_memory(recipe, settings);
  std::vector<std::string> parts;
  for (const auto& phase : plan.phases) {
    log(LogCategory::memory, "{}: {}", phase.name, memory_text(phase.total()));
    for (const auto& item : phase.items)
      log(LogCategory::memory, "  {}: {}", item.name, memory_text(item.bytes));
  }
  log(LogCategory::memory, "needed at most: {}; free: {}", memory_text(plan.peak()),
      memory_text(free));
  if (plan.host_bytes > 0)
    log(LogCategory::memory, "{} of {} blocks wait in {} of host memory; free: {}",
        settings.streamed_blocks, recipe.blocks(), memory_text(plan.host_bytes),
        memory_text(free_on_host));
  if (plan.peak() > free) {
    for (const auto& item : plan.largest().items) {
      if (item.bytes == 0) continue;
      parts.push_back(fmt::format("{} {}", item.name, memory_text(item.bytes)));
    }
    fail(ErrorKind::out_of_memory, "not enough {}memory: {} needs {} ({}), {} are free; {}",
         settings.device == Device::cuda ? "GPU " : "", plan.largest().name,
         memory_text(plan.peak()), fmt::join(parts, ", "), memory_text(free),
         advice(recipe, settings, free));
  }
  require(plan.host_bytes <= free_on_host, ErrorKind::out_of_memory,
          "not enough host memory: --offload blocks keeps {} of the transformer there, {} are free",
          memory_text(plan.host_bytes), memory_text(free_on_host));
}

}  // namespace sparsevid
