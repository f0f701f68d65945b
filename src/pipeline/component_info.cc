#include "pipeline/component_info.h"

#include "base/error.h"
#include "io/one_line.h"

namespace sparsevid {

ComponentInfo describe_component(
    const ModelFolder& folder, const std::string& name,
    const std::function<nn::WeightMismatch(ComponentInfo&, const Checkpoint&)>& check) {
  ComponentInfo info;
  info.name = name;
  const auto found = folder.components().find(name);
  if (found != folder.components().end()) info.class_name = one_line(found->second);
  try {
    const Checkpoint checkpoint(folder.component(name));
    info.bytes = checkpoint.total_bytes();
    info.bytes_by_type = checkpoint.bytes_by_dtype();
    for (const auto& tensor : checkpoint.names())
      info.parameters += static_cast<std::uint64_t>(checkpoint.find(tensor)->numel());
    const nn::WeightMismatch mismatch = check(info, checkpoint);
    for (const auto& tensor : mismatch.missing) info.problems.push_back("missing: " + tensor);
    for (const auto& tensor : mismatch.unexpected) info.problems.push_back("unexpected: " + tensor);
    for (const auto& tensor : mismatch.wrong) info.problems.push_back("wrong: " + tensor);
  } catch (const Error& error) {
    info.problems.push_back(error.what());
  }
  // They hold names out of files and go to a terminal.
  for (auto& problem : info.problems) problem = one_line(problem, std::string::npos);
  return info;
}

}  // namespace sparsevid
