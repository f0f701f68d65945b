#include "pipeline/output_files.h"

#include <unistd.h>

#include <map>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "io/atomic_file.h"
#include "io/video_format.h"
#include "pipeline/memory_plan.h"

namespace sparsevid {
namespace {

/// Generous guesses of an encoded clip's bytes per pixel.
double bytes_per_pixel(VideoFormat format) {
  switch (format) {
    case VideoFormat::mp4:
    case VideoFormat::webm:
      return 0.25;
    case VideoFormat::gif:
      return 1;
    case VideoFormat::png_folder:
      return 3;
  }
  return 3;
}

/// `text` as one word of a shell command.
std::string quoted(const std::string& text) {
  const char* const plain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-+=:,@%";
  if (!text.empty() && text.find_first_not_of(plain) == std::string::npos) return text;
  std::string result = "'";
  for (const char c : text) result += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return result + "'";
}

std::filesystem::path with_process_id(const std::filesystem::path& path) {
  std::filesystem::path name = path;
  return name.replace_filename(
      fmt::format("{}-{}{}", path.stem().string(), getpid(), path.extension().string()));
}

std::filesystem::path wanted_path(const GenerateOptions& options) {
  return options.latents_path.empty() ? latents_path_for(options.output)
                                      : std::filesystem::path(options.latents_path);
}

/// No file may overwrite another of the same run, or one of the model.
void check_that_paths_differ(const Recipe& recipe, const GenerateOptions& options) {
  constexpr const char* kFromLatents = "--from-latents";
  const bool samples = options.from_latents.empty();
  std::map<std::filesystem::path, std::string_view> taken;
  const std::pair<std::string_view, std::filesystem::path> files[] = {
      {"--output", options.output},
      {samples ? "--save-latents" : kFromLatents,
       samples ? wanted_path(options) : std::filesystem::path(options.from_latents)},
      {"--report", options.report},
      {"--trace", options.trace}};
  for (const auto& [flag, path] : files) {
    if (path.empty()) continue;
    const auto [other, is_new] = taken.emplace(whole_path(path), flag);
    require(is_new, ErrorKind::bad_input, "{}: expected another file than that of {}, found {}",
            flag, other->second, path.string());
    require(flag == kFromLatents || !recipe.claims(path), ErrorKind::bad_input,
            "{}: expected another file than those of the model {}, found {}", flag,
            recipe.folder().string(), path.string());
  }
}

}  // namespace

void check_outputs(const Recipe& recipe, const GenerateOptions& options) {
  require(!options.output.empty(), ErrorKind::bad_input,
          "--output: expected a file name such as clip.mp4, found nothing");
  check_video_path(options.output);
  for (const auto& path : {options.report, options.trace})
    if (!path.empty()) check_output_path(path);
  if (options.from_latents.empty()) check_output_path(wanted_path(options));
  check_that_paths_differ(recipe, options);
}

void check_disk_space(const GenerateOptions& options, const std::array<int, 3>& size,
                      const Shape& latents) {
  const double pixels = static_cast<double>(size[0]) * size[1] * size[2];
  const auto clip =
      static_cast<std::uint64_t>(pixels * bytes_per_pixel(video_format_of(options.output)));
  const std::uint64_t kept = options.from_latents.empty()
                                 ? static_cast<std::uint64_t>(latents.numel()) * sizeof(float)
                                 : 0;
  const std::uint64_t free = free_disk_space(options.output);
  require(clip + kept <= free, ErrorKind::bad_input,
          "{}: no space on disk: the clip and its latents may take {}, {} are free", options.output,
          memory_text(clip + kept), memory_text(free));
}

KeptLatents::KeptLatents(const GenerateOptions& options)
    : wanted_(wanted_path(options)), keep_(options.save_latents || !options.latents_path.empty()) {}

void KeptLatents::write(const TensorView& latents, const Metadata& metadata) {
  try {
    // What will be removed again must not take the place of latents that were kept before.
    std::error_code unknown;
    const bool taken = !keep_ && std::filesystem::exists(wanted_, unknown);
    const auto place = taken ? with_process_id(wanted_) : wanted_;
    write_latents(place, latents, metadata);
    path_ = place;
    return;
  } catch (const Error& error) {
    warn(error.what());
    if (keep_) problem_ = error.what();
  }
  try {
    const auto other = std::filesystem::temp_directory_path() / with_process_id(wanted_.filename());
    write_latents(other, latents, metadata);
    path_ = other;
  } catch (const std::exception& error) {
    warn(fmt::format("the latents could not be kept: {}", error.what()));
  }
}

void KeptLatents::finish() {
  if (keep_ || path_.empty()) return;
  std::error_code ignored;
  std::filesystem::remove(path_, ignored);
  path_.clear();
}

std::string how_to_continue(const std::filesystem::path& latents,
                            const std::filesystem::path& model, const std::string& output) {
  if (latents.empty()) return "";
  return fmt::format(
      "; the latents are in {0}, to go on: sparsevid generate --model {1} --from-latents {0} "
      "--output {2}",
      quoted(latents.string()), quoted(model.string()), quoted(output));
}

}  // namespace sparsevid
