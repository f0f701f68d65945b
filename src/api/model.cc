#include "api/describe_model.h"
#include "api/guard.h"
#include "base/error.h"
#include "base/log.h"
#include "pipeline/generate.h"
#include "pipeline/observed_attention.h"
#include "pipeline/recipes/registry.h"
#include "sparsevid/sparsevid.h"

namespace sparsevid {
namespace {

/// Sends the library's warnings to an observer for as long as it lives.
class WarningsTo {
 public:
  explicit WarningsTo(Observer* observer) : active_(observer != nullptr) {
    if (active_)
      set_warning_sink(
          [](void* user, std::string_view line) { static_cast<Observer*>(user)->warning(line); },
          observer);
  }
  ~WarningsTo() {
    if (active_) set_warning_sink(nullptr, nullptr);
  }
  WarningsTo(const WarningsTo&) = delete;
  WarningsTo& operator=(const WarningsTo&) = delete;

 private:
  bool active_;
};

GenerateResult result_of(const RunReport& report) {
  GenerateResult result;
  result.output = report.output;
  result.latents = report.latents;
  result.stage_seconds = report.stage_seconds;
  result.seconds = report.seconds;
  result.sampling_seconds = report.stage("sampling");
  result.attention_seconds = report.profile.seconds(kAttentionZone);
  result.density = report.attention.density();
  result.summary = summarize(report);
  result.report = to_json(report);
  return result;
}

}  // namespace

struct Model::Impl {
  std::unique_ptr<Recipe> recipe;
};

Model::Model(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Model::~Model() = default;
Model::Model(Model&&) noexcept = default;
Model& Model::operator=(Model&&) noexcept = default;

Model Model::load(const std::string& folder) {
  return guarded([&] {
    auto impl = std::make_unique<Impl>();
    impl->recipe = open_recipe(folder);
    for (const auto& component : impl->recipe->components())
      require(component.problems.empty(), ErrorKind::bad_file, "{}: {}",
              (impl->recipe->folder() / component.name).string(),
              fmt::join(component.problems, "; "));
    return Model(std::move(impl));
  });
}

ModelInfo Model::info() const {
  return guarded([&] { return describe_model(*impl_->recipe); });
}

GenerateResult Model::generate(const GenerateOptions& options, Observer* observer) const {
  const WarningsTo warnings(observer);
  return guarded([&] { return result_of(sparsevid::generate(*impl_->recipe, options, observer)); });
}

ModelInfo inspect(const std::string& folder) {
  return guarded([&] { return describe_model(*open_recipe(folder)); });
}

void enable_log(const std::string& categories) { enable_log(std::string_view(categories)); }

}  // namespace sparsevid
