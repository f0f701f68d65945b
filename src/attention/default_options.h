// Settings of each method before the user changes any: the released ones where a model has them.
#pragma once

#include <string_view>

#include "attention/options.h"
#include "core/device.h"

namespace sparsevid {

/// `model` is wan-t2v, wan-i2v, hunyuan-video, cosmos or cogvideox; any other name gets settings
/// that scale with the number of tokens. `height` is the video's, in pixels: from 600 up the
/// settings released for 720p are taken, below those for 480p. Sources: the run scripts of Sparse
/// VideoGen (svg1) and Sparse VideoGen2 (svg2); semantic-tail: docs/methods/semantic-tail.md.
AttentionOptions default_options(std::string_view method, std::string_view model, int height);

struct ClusterNumbers {
  int query;
  int key;
};
/// The numbers of clusters for `tokens` video tokens: those of the options where they are set,
/// otherwise proportional to the square root, which meets 300 / 1000 of Wan at 720p for svg2. On a
/// CPU semantic-tail makes fewer of up to 90,000 tokens: there a kernel wants 128 queries of a
/// cluster and more.
ClusterNumbers cluster_numbers(const AttentionOptions& options, std::int64_t tokens, Device device);

}  // namespace sparsevid
