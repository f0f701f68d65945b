// The comment of a media file, by way of nlohmann-json.
#include "io/video_metadata.h"

#include <nlohmann/json.hpp>

namespace sparsevid {

std::string metadata_to_comment(const Metadata& metadata) {
  using nlohmann::json;
  const bool ascii_only = true;
  return json(metadata).dump(-1, ' ', ascii_only, json::error_handler_t::replace);
}

Metadata metadata_from_comment(const std::string& comment) {
  const nlohmann::json parsed = nlohmann::json::parse(comment, nullptr, false);
  Metadata metadata;
  if (!parsed.is_object()) return metadata;
  for (const auto& [key, value] : parsed.items())
    metadata[key] = value.is_string() ? value.get<std::string>() : value.dump();
  return metadata;
}

}  // namespace sparsevid
