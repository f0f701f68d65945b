// The prompt, seed and settings inside a media file: one JSON object in its comment.
#pragma once

#include <string>

#include "io/image_io.h"

namespace sparsevid {

/// The comment's text: a JSON object of strings in plain ASCII, which every container can hold.
std::string metadata_to_comment(const Metadata& metadata);

/// The inverse. Empty when `comment` is not such an object (a file written by other software).
Metadata metadata_from_comment(const std::string& comment);

}  // namespace sparsevid
