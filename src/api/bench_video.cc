#include "api/bench_video.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "base/cpu_features.h"
#include "base/parallel.h"
#include "testing/random_tensor.h"

namespace sparsevid {
namespace {

constexpr int kWaves = 8;
constexpr float kNoise = .5F;
/// Of the table that noise is read from, over and over.
constexpr std::int64_t kNoiseElements = std::int64_t{1} << 24;
constexpr std::uint64_t kSeedsApart = 100;

void store(float value, float& to) { to = value; }
void store(float value, bf16& to) { to = static_cast<bf16>(value); }

template <typename Element>
void fill(const std::array<int, 3>& grid, std::uint64_t seed, const Tensor& tensor) {
  const std::int64_t heads = tensor->size(2);
  const std::int64_t head_dim = tensor->size(3);
  const Tensor frequencies = random_tensor({heads, kWaves, 3}, seed);
  const Tensor phases = random_tensor({heads, kWaves}, seed + 1, DType::f32, {.scale = 10});
  // So that the waves have unit variance together.
  const Tensor directions = random_tensor({heads, kWaves, head_dim}, seed + 2, DType::f32,
                                          {.scale = std::sqrt(2.0 / kWaves)});
  const std::int64_t elements = tensor->numel();
  const Tensor noise =
      random_tensor({std::min(elements, kNoiseElements)}, seed + 3, DType::f32, {.scale = kNoise});
  auto* out = tensor->as<Element>();
  parallel_for(available_cores(), elements / head_dim, 64, [&](auto begin, auto end) {
    std::vector<float> row(static_cast<std::size_t>(head_dim));
    for (auto item = begin; item < end; ++item) {
      const std::int64_t token = item / heads;
      const std::int64_t head = item % heads;
      const std::int64_t place[3] = {token / (grid[1] * grid[2]), token / grid[2] % grid[1],
                                     token % grid[2]};
      for (std::int64_t d = 0; d < head_dim; ++d)
        row[d] = noise->as<float>()[(item * head_dim + d) % noise->numel()];
      for (int w = 0; w < kWaves; ++w) {
        const std::int64_t wave = head * kWaves + w;
        double angle = phases->as<float>()[wave];
        for (int axis = 0; axis < 3; ++axis)
          angle += 2 * std::numbers::pi * frequencies->as<float>()[wave * 3 + axis] *
                   static_cast<double>(place[axis]) / grid[axis];
        const auto height = static_cast<float>(std::cos(angle));
        const float* direction = directions->as<float>() + wave * head_dim;
        for (std::int64_t d = 0; d < head_dim; ++d) row[d] += height * direction[d];
      }
      for (std::int64_t d = 0; d < head_dim; ++d) store(row[d], out[item * head_dim + d]);
    }
  });
}

}  // namespace

Tensor video_tensor(const std::array<int, 3>& grid, std::int64_t heads, std::int64_t head_dim,
                    std::uint64_t seed, DType dtype) {
  const std::int64_t tokens = std::int64_t{1} * grid[0] * grid[1] * grid[2];
  Tensor tensor(dtype, {1, tokens, heads, head_dim});
  if (dtype == DType::bf16) {
    fill<bf16>(grid, seed * kSeedsApart, tensor);
  } else {
    fill<float>(grid, seed * kSeedsApart, tensor);
  }
  return tensor;
}

}  // namespace sparsevid
