#include "api/describe_model.h"

#include <nlohmann/json.hpp>

#include "attention/options.h"
#include "pipeline/attention_choice.h"

namespace sparsevid {
namespace {

MemoryEstimate estimate(const Recipe& recipe, Precision precision) {
  GenerateOptions options;
  options.prompt = "any";
  options.precision = precision;
  Settings settings = resolve_settings(recipe, options);
  settings.text_tokens.assign(settings.text_tokens.size(), recipe.limits().max_text_tokens);
  const MemoryPlan plan = plan_memory(recipe, settings);
  MemoryEstimate result;
  result.precision = to_string(settings.dtype);
  for (const auto& phase : plan.phases) result.bytes_by_stage[phase.name] = phase.total();
  result.peak_bytes = plan.peak();
  return result;
}

}  // namespace

ModelInfo describe_model(const Recipe& recipe) {
  const RecipeDefaults& defaults = recipe.defaults();
  ModelInfo info;
  info.path = recipe.folder().string();
  info.family = recipe.family();
  info.pipeline_class = recipe.pipeline_class();
  info.scheduler = recipe.scheduler().class_name();
  info.height = defaults.height;
  info.width = defaults.width;
  info.frames = defaults.frames;
  info.steps = defaults.steps;
  info.fps = defaults.fps;
  info.guidance = defaults.guidance;
  info.flow_shift = recipe.scheduler().flow_shift();
  info.attention = defaults.attention;
  info.size_multiple = recipe.limits().size_multiple;
  info.max_text_tokens = recipe.limits().max_text_tokens;
  info.components = recipe.components();
  for (const Precision precision : {Precision::f32, Precision::bf16})
    info.memory.push_back(estimate(recipe, precision));
  return info;
}

bool ModelInfo::usable() const {
  for (const auto& component : components)
    if (!component.problems.empty()) return false;
  return true;
}

std::string to_json(const ModelInfo& info) {
  nlohmann::ordered_json json;
  json["path"] = info.path;
  json["family"] = info.family;
  json["pipeline_class"] = info.pipeline_class;
  json["scheduler"] = info.scheduler;
  json["usable"] = info.usable();
  json["defaults"] = {{"height", info.height},         {"width", info.width},
                      {"frames", info.frames},         {"fps", info.fps},
                      {"steps", info.steps},           {"guidance", info.guidance},
                      {"flow_shift", info.flow_shift}, {"attention", info.attention}};
  json["size_multiple"] = info.size_multiple;
  json["max_text_tokens"] = info.max_text_tokens;
  for (const auto& component : info.components)
    json["components"].push_back({{"name", component.name},
                                  {"class", component.class_name},
                                  {"parameters", component.parameters},
                                  {"bytes", component.bytes},
                                  {"bytes_by_type", component.bytes_by_type},
                                  {"facts", component.facts},
                                  {"problems", component.problems}});
  for (const auto& memory : info.memory)
    json["memory"][memory.precision] = {{"peak_bytes", memory.peak_bytes},
                                        {"bytes_by_stage", memory.bytes_by_stage}};
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

std::vector<AttentionMethodInfo> attention_method_list() {
  std::vector<AttentionMethodInfo> list;
  for (const auto& method : attention_methods())
    list.push_back({std::string(method.name), std::string(method.summary)});
  return list;
}

std::vector<AttentionSettingInfo> attention_setting_list() { return attention_settings(); }

}  // namespace sparsevid
