#include "api/bench_method.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <optional>

#include "api/bench_video.h"
#include "attention/default_options.h"
#include "attention/factory/factory.h"
#include "base/error.h"
#include "core/cuda_clock.h"
#include "core/transfer.h"
#include "testing/random_tensor.h"

namespace sparsevid {
namespace {

constexpr int kDenseCalls = 5;

/// Factors of `tokens` as frames, height and width, as even as they come: what a clip's grid is to
/// the method.
std::array<int, 3> grid_of(int tokens) {
  std::array<int, 3> grid = {1, 1, tokens};
  double best = 1e30;
  for (int frames = 1; frames * frames * frames <= 4 * tokens; ++frames) {
    if (tokens % frames != 0) continue;
    const int positions = tokens / frames;
    for (int height = 1; height * height <= positions; ++height) {
      if (positions % height != 0) continue;
      const int width = positions / height;
      const double spread = static_cast<double>(width) / height +
                            std::abs(static_cast<double>(height) / frames - 1.5);
      if (spread >= best) continue;
      best = spread;
      grid = {frames, height, width};
    }
  }
  return grid;
}

/// [1, tokens, heads, head_dim]: text is noise.
Tensor video_and_text(const AttentionBenchOptions& options, const std::array<int, 3>& grid,
                      std::uint64_t seed, DType dtype) {
  Tensor video = video_tensor(grid, options.heads, options.head_dim, seed, dtype);
  if (options.text_tokens == 0) return video;
  const Tensor text =
      random_tensor({1, options.text_tokens, options.heads, options.head_dim}, seed, dtype);
  Tensor both(dtype, {1, options.tokens, options.heads, options.head_dim});
  auto* bytes = static_cast<std::byte*>(both->data());
  std::memcpy(bytes, video->data(), video->bytes());
  std::memcpy(bytes + video->bytes(), text->data(), text->bytes());
  return both;
}

/// Queries, keys and values in the model's order of memory, [1, tokens, heads, head_dim] seen as
/// [1, heads, tokens, head_dim].
struct Inputs {
  Inputs(const AttentionBenchOptions& options, const std::array<int, 3>& grid, DType dtype,
         const Context& context) {
    const Shape shape = {1, options.tokens, options.heads, options.head_dim};
    const auto make = [&](std::uint64_t seed) {
      return moved_to(context.device,
                      options.data == "normal" ? random_tensor(shape, seed, dtype)
                                               : video_and_text(options, grid, seed, dtype),
                      context);
    };
    q = make(1);
    k = make(2);
    v = make(3);
    out = Tensor(dtype, shape, context.device);
  }
  Tensor q, k, v, out;
};

BenchResult result_of(const std::string& op, const std::string& name, double seconds) {
  BenchResult result;
  result.op = op;
  result.name = name;
  result.us = seconds * 1e6;
  return result;
}

}  // namespace

std::vector<BenchResult> measure_method(const AttentionBenchOptions& options, Context& context) {
  require(options.dtype == "bf16" || options.dtype == "f32", ErrorKind::bad_input,
          "--dtype: expected f32 or bf16, found '{}'", options.dtype);
  require(options.heads >= 1 && options.tokens >= 1 && options.head_dim >= 1 && options.steps >= 1,
          ErrorKind::bad_input,
          "--heads, --tokens, --head-dim, --steps: expected at least 1, found {}, {}, {}, {}",
          options.heads, options.tokens, options.head_dim, options.steps);
  require(options.text_tokens >= 0 && options.text_tokens < options.tokens, ErrorKind::bad_input,
          "--text-tokens: expected fewer than the {} tokens, found {}", options.tokens,
          options.text_tokens);
  const DType dtype = options.dtype == "bf16" ? DType::bf16 : DType::f32;
  require(options.data == "video" || options.data == "normal", ErrorKind::bad_input,
          "--data: expected video or normal, found '{}'", options.data);
  const int video_tokens = options.tokens - options.text_tokens;
  TokenLayout layout = {grid_of(video_tokens), {{Role::video, 0, video_tokens}}};
  if (options.text_tokens > 0)
    layout.segments.push_back({Role::text, video_tokens, options.text_tokens});
  const Inputs inputs(options, layout.grid, dtype, context);

  AttentionOptions settings = default_options(options.method, "", 0);
  if (options.method != "dense") {
    settings.density = options.density;
    settings.top_p.reset();
    settings.query_clusters = options.query_clusters;
    settings.key_clusters = options.key_clusters;
  }
  settings.dense_steps = 0;
  settings.dense_layers = 0;
  const AttentionFacts facts = {.layers = 1, .steps = options.steps};
  const auto run = [&](AttentionMethod& method, int step) {
    method.run({.q = inputs.q->transpose(1, 2),
                .k = inputs.k->transpose(1, 2),
                .v = inputs.v->transpose(1, 2),
                .layout = layout,
                .scale = 1 / std::sqrt(static_cast<double>(options.head_dim)),
                .layer = 0,
                .step = step,
                .branch = 0},
               inputs.out->transpose(1, 2), context);
  };

  // Dense calls stand between the method's, so that both meet the same load of the machine.
  const auto dense = make_attention_method(default_options("dense", "", 0), facts);
  const auto method = make_attention_method(settings, facts);
  const int steps_between = std::max(1, options.steps / kDenseCalls);
  const auto seconds_of = [&](AttentionMethod& which, int step) {
    context.check_cancelled();
    const double start = now_seconds();
    run(which, step);
    wait_for(context.device, context.stream);
    const double seconds = now_seconds() - start;
    context.profile.settle();
    which.end_step();
    return seconds;
  };
  CudaClock clock(context.stream);
  if (context.device == Device::cuda) context.profile.use(&clock);
  seconds_of(*dense, 0);  // touches all memory once
  std::vector<double> dense_times;
  Profile parts;
  double total = 0;
  for (int step = 0; step < options.steps; ++step) {
    if (step % steps_between == 0) dense_times.push_back(seconds_of(*dense, step));
    context.profile.clear();
    total += seconds_of(*method, step);
    for (const auto& [name, entry] : context.profile.entries()) parts.add(name, entry.seconds);
  }
  context.profile.use(nullptr);
  std::sort(dense_times.begin(), dense_times.end());
  const double dense_seconds = dense_times[dense_times.size() / 2];

  const double seconds = total / options.steps;
  const double pairs = static_cast<double>(options.tokens) * options.tokens;
  const double operations = 4 * pairs * options.heads * options.head_dim;
  std::string size =
      fmt::format("{} {}x{}x{}", options.dtype, options.heads, options.tokens, options.head_dim);
  if (options.text_tokens > 0) size += fmt::format(", {} of text", options.text_tokens);
  std::vector<BenchResult> results;
  results.push_back(result_of("attention", "dense " + size, dense_seconds));
  results.back().tflops = operations / dense_seconds * 1e-12;
  const double density = method->stats().density();
  results.push_back(result_of(
      "attention", fmt::format("{} {} density {:.3f}", options.method, size, density), seconds));
  results.back().tflops = density * operations / seconds * 1e-12;
  results.back().baseline = "dense";
  results.back().ratio = dense_seconds / seconds;
  for (const auto& [name, entry] : parts.entries()) {
    const double part = entry.seconds / options.steps;
    results.push_back(
        result_of("attention", fmt::format("{} part {}", options.method, name), part));
    results.back().baseline = "dense";
    results.back().share = part / dense_seconds;
  }
  return results;
}

}  // namespace sparsevid
