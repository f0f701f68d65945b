#include "pipeline/attention_choice.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <optional>

#include "attention/default_options.h"
#include "base/error.h"
#include "base/log.h"
#include "pipeline/recipe.h"

namespace sparsevid {
namespace {

/// A setting, and where it stands in AttentionOptions; one of the members is not null.
struct Place {
  AttentionSettingInfo info;
  double AttentionOptions::*share = nullptr;
  std::optional<double> AttentionOptions::*budget = nullptr;
  int AttentionOptions::*count = nullptr;
  bool AttentionOptions::*on_off = nullptr;
};

Place share(const char* name, double AttentionOptions::*member, const char* help) {
  return {.info = {name, SettingKind::share, help}, .share = member};
}
Place budget(const char* name, std::optional<double> AttentionOptions::*member, const char* help) {
  return {.info = {name, SettingKind::share, help}, .budget = member};
}
Place count(const char* name, int AttentionOptions::*member, const char* help) {
  return {.info = {name, SettingKind::count, help}, .count = member};
}
Place on_off(const char* name, bool AttentionOptions::*member, const char* help) {
  return {.info = {name, SettingKind::on_off, help}, .on_off = member};
}

using Options = AttentionOptions;

const std::vector<Place>& places() {
  static const std::vector<Place> all = {
      budget("density", &Options::density, "share of the query-key pairs to compute"),
      budget("top_p", &Options::top_p, "share of the attention mass to keep, instead of --density"),
      share("dense_steps", &Options::dense_steps, "share of the steps that stay dense"),
      share("dense_layers", &Options::dense_layers, "share of the layers that stay dense"),
      count("query_clusters", &Options::query_clusters, "clusters of queries, 0: by the tokens"),
      count("key_clusters", &Options::key_clusters, "clusters of keys, 0: by the tokens"),
      count("query_multiple", &Options::query_multiple,
            "query clusters are rounded to such sizes, 0: by the device"),
      count("key_multiple", &Options::key_multiple,
            "key clusters are rounded to such sizes, 0: only in 8 bits"),
      share("min_clusters", &Options::min_clusters, "share of key clusters always kept by --top-p"),
      count("kmeans_iterations", &Options::kmeans_iterations, "iterations of a fresh clustering"),
      count("kmeans_iterations_warm", &Options::kmeans_iterations_warm,
            "iterations from the clusters before, 0: always fresh"),
      count("recluster_every", &Options::recluster_every,
            "steps between clusterings, 0: never again"),
      on_off("cluster_in_dense_steps", &Options::cluster_in_dense_steps,
             "cluster already in dense steps"),
      count("profile_rows", &Options::profile_rows, "svg1: queries that choose a head's band"),
      on_off("tail", &Options::tail, "semantic-tail: unchosen clusters as their means"),
      on_off("scores_from_queries", &Options::scores_from_queries,
             "semantic-tail: scores from every query"),
      on_off("error_per_token", &Options::error_per_token,
             "semantic-tail: choose by the error left, per token"),
      on_off("shared_threshold", &Options::shared_threshold,
             "semantic-tail: one threshold for all heads of a layer"),
      count("min_tokens", &Options::min_tokens, "shorter videos stay dense"),
      count("attention_quality", &Options::quality_rows,
            "queries a call compared with exact attention, for the report"),
  };
  return all;
}

const Place* find_place(const std::string& name) {
  for (const auto& place : places())
    if (place.info.name == name) return &place;
  return nullptr;
}

std::string value_text(const AttentionOptions& options, const Place& place) {
  if (place.share != nullptr) return fmt::format("{}", options.*place.share);
  if (place.count != nullptr) return fmt::format("{}", options.*place.count);
  if (place.on_off != nullptr) return options.*place.on_off ? "1" : "0";
  const auto& value = options.*place.budget;
  return value ? fmt::format("{}", *value) : "";
}

}  // namespace

std::string flag_of(std::string setting) {
  std::replace(setting.begin(), setting.end(), '_', '-');
  return "--" + setting;
}

const std::vector<AttentionSettingInfo>& attention_settings() {
  static const std::vector<AttentionSettingInfo> infos = [] {
    std::vector<AttentionSettingInfo> result;
    for (const auto& place : places()) result.push_back(place.info);
    return result;
  }();
  return infos;
}

void set_attention(AttentionOptions& options, const std::string& name, double value) {
  const Place* place = find_place(name);
  require(place != nullptr, ErrorKind::bad_input,
          "attention setting '{}': expected one of those that sparsevid generate --help lists",
          name);
  if (place->count != nullptr) {
    require(value >= 0 && value <= 1 << 30 && value == std::floor(value), ErrorKind::bad_input,
            "{}: expected a whole number from 0, found {}", flag_of(name), value);
    options.*place->count = static_cast<int>(value);
  } else if (place->on_off != nullptr) {
    require(value == 0 || value == 1, ErrorKind::bad_input, "{}: expected on or off, found {}",
            flag_of(name), value);
    options.*place->on_off = value == 1;
  } else if (place->share != nullptr) {
    options.*place->share = value;
  } else {
    options.*place->budget = value;
  }
}

AttentionOptions choose_attention(const Recipe& recipe, int height,
                                  const GenerateOptions& options) {
  const RecipeDefaults& defaults = recipe.defaults();
  const std::string method = options.attention.empty() ? defaults.attention : options.attention;
  AttentionOptions result = default_options(method, recipe.attention_family(), height);
  const auto apply = [&](const std::map<std::string, double>& settings) {
    // Two ways to say how much: the later one replaces the earlier.
    if (settings.contains("density") && !settings.contains("top_p")) result.top_p.reset();
    if (settings.contains("top_p") && !settings.contains("density")) result.density.reset();
    for (const auto& [name, value] : settings) set_attention(result, name, value);
  };
  if (method == defaults.attention) apply(defaults.attention_settings);
  apply(options.attention_settings);
  if (method == "dense" && !options.attention_settings.empty())
    warn(fmt::format("{} has no effect on dense attention",
                     flag_of(options.attention_settings.begin()->first)));
  result.seed = options.seed;
  validate(result);
  return result;
}

std::map<std::string, std::string> describe(const AttentionOptions& options) {
  std::map<std::string, std::string> text = {{"attention", options.method}};
  if (options.method == "dense") return text;
  for (const auto& place : places()) {
    const std::string value = value_text(options, place);
    if (!value.empty()) text["attention." + place.info.name] = value;
  }
  return text;
}

namespace {

/// What the block-sparse kernels for Hopper take at most.
constexpr std::uint64_t kGpuKernelBytes = 1'200'000'000;
/// What the dense kernel in 8 bits takes at most, and its bytes for an element of q, k and v.
constexpr std::uint64_t k8bitKernelBytes = std::uint64_t{704} << 20;
constexpr double k8bitElementBytes = 3.2;
/// Rows that fill the last tile of a head at most.
constexpr int k8bitTileRows = 256;

/// What the block-sparse kernel in 8 bits takes: rounded rows, keys and values in atoms of 16 of
/// one cluster, and lists of atoms and a bias of centroids for each query cluster.
std::uint64_t sparse_8bit_bytes(const AttentionSize& size, const ClusterNumbers& clusters) {
  constexpr double kTileKeys = 192;
  const double head_dim = size.head_dim;
  const double atoms = static_cast<double>(size.tokens) / 16 + clusters.key;
  const double centroids = clusters.key + kTileKeys;
  const double rows = static_cast<double>(size.tokens) * (head_dim + 4);
  const double keys = (16 * atoms + centroids) * (2 * head_dim + 8) + atoms * head_dim;
  const double lists = 4 * clusters.query * (atoms + centroids);
  const double statistics = static_cast<double>(size.tokens) / 512 * 16 * head_dim;
  return static_cast<std::uint64_t>(size.heads * (rows + keys + lists + statistics));
}

}  // namespace

AttentionBytes attention_bytes(const AttentionOptions& options, const AttentionSize& size) {
  const auto rows =
      static_cast<std::uint64_t>(size.heads) * static_cast<std::uint64_t>(size.tokens);
  const double elements = static_cast<double>(size.heads) * (size.tokens + k8bitTileRows) *
                          static_cast<double>(size.head_dim);
  const std::uint64_t in_8bit =
      options.in_8bit
          ? std::min(k8bitKernelBytes, static_cast<std::uint64_t>(k8bitElementBytes * elements))
          : 0;
  if (options.method == "dense") return {0, in_8bit};
  const std::uint64_t permuted = 4 * rows * static_cast<std::uint64_t>(size.head_dim) * 2;
  if (options.method == "svg1") return {0, std::max(permuted, in_8bit)};
  const ClusterNumbers clusters = cluster_numbers(options, size.tokens, size.device);
  const auto heads = static_cast<std::uint64_t>(size.heads);
  const auto query = static_cast<std::uint64_t>(clusters.query);
  const auto key = static_cast<std::uint64_t>(clusters.key);
  const std::uint64_t means =
      heads * (query + 2 * key) * static_cast<std::uint64_t>(size.head_dim) * sizeof(float);
  const std::uint64_t orders = 2 * rows * sizeof(std::int32_t);
  const std::uint64_t chosen = heads * query * key;
  const std::uint64_t scores = 2 * chosen * sizeof(float);
  const std::uint64_t labels = rows * sizeof(std::int32_t);
  // Keys and values of some heads in the order of their clusters, and lists of what is chosen.
  const std::uint64_t kernel =
      size.device == Device::cuda
          ? std::min(options.in_8bit ? sparse_8bit_bytes(size, clusters) : permuted,
                     kGpuKernelBytes)
          : 0;
  // Clusterings are kept in as few bits as they need (ops/pack_bits.h), choices where they are used
  // again.
  const std::uint64_t label_bits = std::bit_width(query) + std::bit_width(key);
  const std::uint64_t kept = (rows * label_bits + (options.recluster_every == 1 ? 0 : chosen)) / 8 +
                             heads * (query + key) * sizeof(std::int32_t);
  return {
      static_cast<std::uint64_t>(size.layers) * static_cast<std::uint64_t>(size.branches) * kept,
      orders + chosen + means + scores + labels + std::max(kernel, in_8bit)};
}

}  // namespace sparsevid
