// What a model family has to say so that the pipeline can run it.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "models/dit.h"
#include "models/text_encoder.h"
#include "models/vae.h"
#include "pipeline/memory_plan.h"
#include "pipeline/settings.h"
#include "sampling/scheduler.h"
#include "sparsevid/info.h"

namespace sparsevid {

/// What a generation uses unless told otherwise.
struct RecipeDefaults {
  int height = 0;
  int width = 0;
  int frames = 0;
  double fps = 0;
  int steps = 0;
  double guidance = 0;
  std::string attention;                             ///< method
  std::map<std::string, double> attention_settings;  ///< of that method, by name
};

/// What the model can make at all.
struct RecipeLimits {
  int size_multiple = 1;   ///< height and width are multiples of this
  int frame_multiple = 1;  ///< frames = frame_multiple * k + 1
  int max_side = 0;        ///< pixels
  int max_frames = 0;
  int max_text_tokens = 0;
};

struct PromptTokens {
  std::vector<int> ids;
  int cut = 0;  ///< tokens that did not fit the text window
};

/// One opened checkpoint folder of a family. Loading a part reads its weights.
class Recipe {
 public:
  virtual ~Recipe() = default;

  virtual std::string_view family() const = 0;
  /// `_class_name` of model_index.json.
  virtual const std::string& pipeline_class() const = 0;
  /// The name under which default_options() knows released attention settings, "wan-t2v".
  virtual std::string_view attention_family() const = 0;
  virtual int attention_head_dim() const = 0;
  virtual const std::filesystem::path& folder() const = 0;
  /// Whether a file of that name is one of the checkpoint's, or would be taken for one.
  virtual bool claims(const std::filesystem::path& file) const = 0;
  virtual const RecipeDefaults& defaults() const = 0;
  virtual const RecipeLimits& limits() const = 0;
  virtual const Scheduler& scheduler() const = 0;
  /// [channels, frames, height, width] of the latents of a clip in pixels.
  virtual Shape latent_shape(int height, int width, int frames) const = 0;
  /// Pixels [frames, height, width] of latents of such a shape.
  virtual std::array<int, 3> clip_size(const Shape& latents) const = 0;

  /// Cleans and tokenizes as the family does.
  virtual PromptTokens tokenize(const std::string& prompt) const = 0;
  virtual std::unique_ptr<TextEncoder> load_text_encoder(const Settings& settings,
                                                         Context& context) const = 0;
  virtual std::unique_ptr<Dit> load_dit(const Settings& settings, Context& context) const = 0;
  virtual std::unique_ptr<Vae> load_vae(const Settings& settings, Context& context) const = 0;

  /// Blocks of the transformer, which Settings::streamed_blocks counts.
  virtual int blocks() const = 0;
  /// Most memory the parts take by phase, from configs alone; decoding is the last phase.
  virtual MemoryPlan memory_plan(const Settings& settings) const = 0;
  /// The components with what does not fit the configs; reads headers only.
  virtual std::vector<ComponentInfo> components() const = 0;
};

}  // namespace sparsevid
