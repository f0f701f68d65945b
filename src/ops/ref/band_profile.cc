#include "ops/ref/band_profile.h"

#include <vector>

#include "ops/band_mask.h"
#include "ops/ref/attend_row.h"
#include "ops/ref/element.h"

namespace sparsevid::ops::ref {
namespace {

std::vector<double> output(const BandProfileParams& params, std::int64_t head, std::int64_t row,
                           const BandMask* mask) {
  std::vector<SeenKey> keys;
  for (std::int64_t j = 0; j < params.k.size(1); ++j) {
    if (mask == nullptr || mask->sees(row, j))
      keys.push_back({params.k[head][j], params.v[head][j], 0});
  }
  std::vector<double> result(static_cast<std::size_t>(params.q.size(2)));
  attend_row(params.q[head][row], keys, params.scale,
             TensorView(result.data(), DType::f64, {params.q.size(2)}));
  return result;
}

}  // namespace

void band_profile(const BandProfileParams& params, Context&) {
  const std::int64_t samples = params.rows.size(1);
  const double elements = static_cast<double>(samples * params.q.size(2));
  for (std::int64_t head = 0; head < params.q.size(0); ++head) {
    double squared[2] = {0, 0};
    for (std::int64_t r = 0; r < samples; ++r) {
      const auto row = static_cast<std::int64_t>(load(params.rows, head, r));
      const auto exact = output(params, head, row, nullptr);
      for (const bool temporal : {false, true}) {
        const BandMask mask{params.video_begin, params.frames, params.positions, params.width,
                            temporal};
        const auto masked = output(params, head, row, &mask);
        for (std::size_t d = 0; d < exact.size(); ++d)
          squared[temporal] += (masked[d] - exact[d]) * (masked[d] - exact[d]);
      }
    }
    for (const int kind : {0, 1}) store(params.errors, head, kind, squared[kind] / elements);
    if (params.temporal.defined()) {
      const auto* errors = params.errors[head].as<float>();
      params.temporal.as<std::uint8_t>()[head] = errors[1] < errors[0] ? 1 : 0;
    }
  }
}

}  // namespace sparsevid::ops::ref
