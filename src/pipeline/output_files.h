// What a run writes: checked before the work, latents kept safe after it.
#pragma once

#include <filesystem>
#include <string>

#include "pipeline/latents_file.h"
#include "pipeline/recipe.h"
#include "pipeline/settings.h"
#include "sparsevid/options.h"

namespace sparsevid {

/// Throws Error(bad_input) unless every output can be written: known format with an encoder, folder
/// there and writable, and in the place of no other file of the run, the model's included.
void check_outputs(const Recipe& recipe, const GenerateOptions& options);

/// Throws Error(bad_input) when the disk of the output has not room for a clip of `size` (frames,
/// height, width) and its latents.
void check_disk_space(const GenerateOptions& options, const std::array<int, 3>& size,
                      const Shape& latents);

/// The latents of a run on disk, from the end of sampling on. If the run succeeds and did not ask
/// for them they are removed.
class KeptLatents {
 public:
  explicit KeptLatents(const GenerateOptions& options);

  /// Writes them at the asked place or beside the output, where they get another name if latents of
  /// an earlier run are there. When that fails, warns and tries the folder for temporary files; the
  /// run goes on also if that fails too.
  void write(const TensorView& latents, const Metadata& metadata);
  /// The clip is complete.
  void finish();
  /// Why latents that were asked for are not at their place; empty when they are.
  const std::string& problem() const { return problem_; }
  /// Empty when nothing is on disk.
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path wanted_;
  std::filesystem::path path_;
  std::string problem_;
  bool keep_;
};

/// "; the latents are in X; to go on: sparsevid generate ...", or nothing when `latents` is empty.
std::string how_to_continue(const std::filesystem::path& latents,
                            const std::filesystem::path& model, const std::string& output);

}  // namespace sparsevid
