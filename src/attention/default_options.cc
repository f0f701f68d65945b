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
int clusters_for(double factor, std::int64_t tokens) {
  const double wanted = factor * std::sqrt(static_cast<double>(tokens));
  return std::max(16, static_cast<int>(std::lround(wanted / 16)) * 16);
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
  struct Factors {
    double query;
    double key;
  };
  const Factors factors = options.method == "svg2" ? Factors{1.1, 3.6}
                          : device == Device::cuda ? Factors{1.8, 3.6}
                                                   : Factors{1, 2};
  return {options.query_clusters > 0 ? options.query_clusters : clusters_for(factors.query, tokens),
          options.key_clusters > 0 ? options.key_clusters : clusters_for(factors.key, tokens)};
}

}  // namespace sparsevid
