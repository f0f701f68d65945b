#include "attention/default_options.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace sparsevid {
namespace {

constexpr int kSmallestHeightOf720p = 600;

struct Svg2Setting {
  std::string_view model;
  bool for_720p;
  int query_clusters;
  int key_clusters;
  double dense_steps;
  double dense_layers;
};
// top_p .9 and min_clusters .10 throughout.
constexpr std::array<Svg2Setting, 7> kSvg2 = {{
    {"wan-t2v", true, 300, 1000, .20, .03},
    {"wan-i2v", true, 300, 1000, .35, .03},
    {"wan-i2v", false, 200, 1000, .20, .03},
    {"hunyuan-video", true, 400, 1000, .10, .03},
    {"hunyuan-video", false, 200, 1000, .04, 0},
    {"cosmos", true, 400, 1000, .30, .03},
    {"cosmos", false, 400, 1000, .30, .03},
}};

double svg1_density(std::string_view model, bool for_720p) {
  if (model == "hunyuan-video") return for_720p ? .25 : .20;
  if (model == "cosmos" || model == "cogvideox") return .25;
  return .30;
}

void set_svg2(AttentionOptions& options, std::string_view model, bool for_720p) {
  options.top_p = .9;
  options.min_clusters = .10;
  options.kmeans_iterations = 50;
  options.kmeans_iterations_warm = 2;
  options.recluster_every = 1;
  for (const auto& setting : kSvg2) {
    if (setting.model != model || setting.for_720p != for_720p) continue;
    options.query_clusters = setting.query_clusters;
    options.key_clusters = setting.key_clusters;
    options.dense_steps = setting.dense_steps;
    options.dense_layers = setting.dense_layers;
  }
}

// A multiple of 16, the width of the kernels' panels.
int whole_panels(double clusters) {
  return std::max(16, static_cast<int>(std::lround(clusters / 16)) * 16);
}

}  // namespace

AttentionOptions default_options(std::string_view method, std::string_view model, int height) {
  const bool for_720p = height >= kSmallestHeightOf720p;
  AttentionOptions options;
  options.method = method;
  if (method == "svg1") options.density = svg1_density(model, for_720p);
  if (method == "svg2") set_svg2(options, model, for_720p);
  if (method == "semantic-tail") {
    options.density = .15;
    options.dense_steps = .10;
  }
  return options;
}

ClusterNumbers cluster_numbers(const AttentionOptions& options, std::int64_t tokens,
                               Device device) {
  const bool svg2 = options.method == "svg2";
  const auto count = static_cast<double>(tokens);
  double query = (svg2 ? 1.1 : 1.8) * std::sqrt(count);
  double key = 3.6 * std::sqrt(count);
  if (device == Device::cpu && !svg2) {
    // Fewer than 64 and 192 cost too much closeness.
    constexpr double kQueries = 170;
    constexpr double kKeys = 85;
    query = std::min(query, std::max(count / kQueries, 64.0));
    key = std::min(key, std::max(count / kKeys, 192.0));
  }
  return {options.query_clusters > 0 ? options.query_clusters : whole_panels(query),
          options.key_clusters > 0 ? options.key_clusters : whole_panels(key)};
}

}  // namespace sparsevid
