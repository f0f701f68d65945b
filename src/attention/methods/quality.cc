#include "attention/methods/quality.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "ops/kmeans_seed.h"

namespace sparsevid {
namespace {

/// The rows of one head as doubles.
class Rows {
 public:
  explicit Rows(const TensorView& view)
      : dim_(static_cast<std::size_t>(view.size(1))),
        values_(static_cast<std::size_t>(view.numel())) {
    for (std::int64_t i = 0; i < view.size(0); ++i) {
      const TensorView row = view[i];
      for (std::size_t d = 0; d < dim_; ++d)
        values_[static_cast<std::size_t>(i) * dim_ + d] =
            view.dtype() == DType::bf16 ? static_cast<float>(row.as<bf16>()[d])
                                        : row.as<float>()[d];
    }
  }
  std::size_t dim() const { return dim_; }
  const double* operator[](std::int64_t i) const {
    return &values_[static_cast<std::size_t>(i) * dim_];
  }

 private:
  std::size_t dim_;
  std::vector<double> values_;
};

struct ExactRow {
  double recall;
  std::vector<double> output;
};

ExactRow exact_row(const double* q, const Rows& k, const Rows& v, std::int64_t tokens, double scale,
                   const std::function<bool(std::int64_t)>& computed) {
  std::vector<double> mass(static_cast<std::size_t>(tokens));
  for (std::int64_t j = 0; j < tokens; ++j) {
    double dot = 0;
    for (std::size_t d = 0; d < k.dim(); ++d) dot += q[d] * k[j][d];
    mass[static_cast<std::size_t>(j)] = scale * dot;
  }
  const double top = *std::max_element(mass.begin(), mass.end());
  ExactRow row{0, std::vector<double>(v.dim())};
  double total = 0;
  for (std::int64_t j = 0; j < tokens; ++j) {
    const double weight = std::exp(mass[static_cast<std::size_t>(j)] - top);
    total += weight;
    if (computed(j)) row.recall += weight;
    for (std::size_t d = 0; d < v.dim(); ++d) row.output[d] += weight * v[j][d];
  }
  row.recall /= total;
  for (auto& value : row.output) value /= total;
  return row;
}

}  // namespace

void measure_quality(const QualitySample& sample, int rows, std::uint64_t seed,
                     const Computed& computed, AttentionQuality& quality) {
  const std::int64_t tokens = sample.q.size(1);
  const std::int64_t samples = std::min<std::int64_t>(rows, tokens);
  double squared_error = 0;
  double squared_norm = 0;
  for (std::int64_t head = 0; head < sample.q.size(0); ++head) {
    const Rows k(sample.k[head]);
    const Rows v(sample.v[head]);
    for (std::int64_t r = 0; r < samples; ++r) {
      const std::int64_t query = ops::kmeans_seed_row(seed, head, r, samples, tokens);
      const Rows q(sample.q[head].slice(0, query, 1));
      const Rows found(sample.out[head].slice(0, query, 1));
      const ExactRow exact = exact_row(q[0], k, v, tokens, sample.scale, [&](std::int64_t key) {
        return computed(head, query, key);
      });
      quality.recall.push_back(exact.recall);
      for (std::size_t d = 0; d < exact.output.size(); ++d) {
        const double error = found[0][d] - exact.output[d];
        squared_error += error * error;
        squared_norm += exact.output[d] * exact.output[d];
      }
    }
  }
  quality.relative_error.push_back(std::sqrt(squared_error / std::max(squared_norm, 1e-300)));
}

}  // namespace sparsevid
