#include <string>

#include "api/bench_case.h"
#include "ops/attention_8bit_cases.h"
#include "ops/attention_cases.h"
#include "ops/band_attention_cases.h"
#include "ops/band_density.h"
#include "ops/block_sparse_attention_8bit_cases.h"
#include "ops/block_sparse_attention_cases.h"
#include "ops/cluster_order.h"
#include "ops/kmeans.h"
#include "ops/kmeans_cases.h"
#include "ops/round_clusters.h"

namespace sparsevid {
namespace {

constexpr std::int64_t kMostTokensOnCpu = 20000;

double attention_operations(double heads, double q_len, double k_len, double head_dim) {
  return 4 * heads * q_len * k_len * head_dim;
}

std::string size_name(const char* name, DType dtype, std::int64_t heads, std::int64_t tokens,
                      std::int64_t head_dim) {
  return fmt::format("{} {} {}x{}x{}", name, to_string(dtype), heads, tokens, head_dim);
}

void add_dense(std::vector<BenchCase>& cases) {
  for (const auto& c : ops::attention_bench_cases()) {
    BenchCase bench;
    bench.device = c.q_len > kMostTokensOnCpu ? Device::cuda : Device::cpu;
    bench.op = "attention";
    bench.name = size_name(c.name, c.dtype, c.heads, c.q_len, c.head_dim);
    bench.operations =
        attention_operations(static_cast<double>(c.heads), static_cast<double>(c.q_len),
                             static_cast<double>(c.k_len), static_cast<double>(c.head_dim));
    bench.baseline = c.dtype == DType::bf16 ? Baseline::gemm_bf16 : Baseline::gemm_f32;
    bench.prepare = [c](Device device) {
      return prepare_op(ops::attention_implementations(), device,
                        [&] { return std::make_shared<ops::AttentionInputs>(c); });
    };
    cases.push_back(std::move(bench));
  }
}

/// An op that approximates dense attention over tensors among its inputs, against that.
template <typename Inputs, typename Params>
PreparedBench against_dense(const std::shared_ptr<Inputs>& inputs, ops::AttentionInputs& of,
                            Device device, const ops::ImplementationList<Params>& list) {
  const std::shared_ptr<ops::AttentionInputs> dense(inputs, &of);
  return {run_of(list, device, inputs), run_of(ops::attention_implementations(), device, dense)};
}

BenchCase block_sparse_bench(const char* op, const ops::BlockSparseCase& c) {
  BenchCase bench;
  bench.device = c.q_len > kMostTokensOnCpu ? Device::cuda : Device::cpu;
  bench.op = op;
  bench.name = size_name(c.name, c.dtype, c.heads, c.q_len, c.head_dim);
  bench.operations = c.density * attention_operations(
                                     static_cast<double>(c.heads), static_cast<double>(c.q_len),
                                     static_cast<double>(c.k_len), static_cast<double>(c.head_dim));
  bench.baseline = Baseline::dense_attention;
  return bench;
}

void add_block_sparse(std::vector<BenchCase>& cases) {
  for (const auto& c : ops::block_sparse_bench_cases()) {
    BenchCase bench = block_sparse_bench("block_sparse_attention", c);
    bench.prepare = [c](Device device) {
      const auto inputs = std::make_shared<ops::BlockSparseInputs>(c);
      return against_dense(inputs, inputs->dense, device,
                           ops::block_sparse_attention_implementations());
    };
    cases.push_back(std::move(bench));
  }
}

/// In 8 bits, against dense attention in bf16. Only some GPUs compute in 8 bits, and which do
/// shows on a single token already.
void add_dense_8bit(std::vector<BenchCase>& cases) {
  for (const auto& c : ops::attention_8bit_bench_cases()) {
    BenchCase bench;
    bench.device = Device::cuda;
    bench.op = "attention_8bit";
    bench.name = size_name(c.name, DType::bf16, c.heads, c.q_len, c.head_dim);
    bench.operations =
        attention_operations(static_cast<double>(c.heads), static_cast<double>(c.q_len),
                             static_cast<double>(c.k_len), static_cast<double>(c.head_dim));
    bench.baseline = Baseline::dense_attention;
    bench.runs_on = [c](const Context& context) {
      const ops::Attention8bitInputs one({c.name, 1, 1, 1, c.head_dim});
      return has_implementation(ops::attention_8bit_implementations(), one.params, context);
    };
    bench.prepare = [c](Device device) {
      const auto inputs = std::make_shared<ops::Attention8bitInputs>(c);
      return against_dense(inputs, inputs->of, device, ops::attention_8bit_implementations());
    };
    cases.push_back(std::move(bench));
  }
}

void add_block_sparse_8bit(std::vector<BenchCase>& cases) {
  for (const auto& c : ops::block_sparse_8bit_bench_cases()) {
    BenchCase bench = block_sparse_bench("block_sparse_attention_8bit", c.of);
    bench.device = Device::cuda;
    bench.runs_on = [c](const Context& context) {
      const ops::BlockSparse8bitInputs one(
          ops::BlockSparse8bitCase{{c.of.name, 1, 1, 1, c.of.head_dim, 1, 1, 1}});
      return has_implementation(ops::block_sparse_attention_8bit_implementations(), one.params,
                                context);
    };
    bench.prepare = [c](Device device) {
      const auto inputs = std::make_shared<ops::BlockSparse8bitInputs>(c);
      return against_dense(inputs, inputs->of.dense, device,
                           ops::block_sparse_attention_8bit_implementations());
    };
    cases.push_back(std::move(bench));
  }
}

void add_band(std::vector<BenchCase>& cases) {
  for (const auto& c : ops::band_bench_cases()) {
    const std::int64_t tokens = ops::BandInputs::seq_len(c);
    BenchCase bench;
    bench.device = tokens > kMostTokensOnCpu ? Device::cuda : Device::cpu;
    bench.op = "band_attention";
    bench.name = size_name(c.name, c.dtype, c.heads, tokens, c.head_dim);
    bench.operations =
        ops::BandInputs::density(c) *
        attention_operations(static_cast<double>(c.heads), static_cast<double>(tokens),
                             static_cast<double>(tokens), static_cast<double>(c.head_dim));
    bench.baseline = Baseline::dense_attention;
    bench.prepare = [c](Device device) {
      const auto inputs = std::make_shared<ops::BandInputs>(c);
      return against_dense(inputs, inputs->dense, device, ops::band_attention_implementations());
    };
    cases.push_back(std::move(bench));
  }
}

struct KMeansInputs {
  explicit KMeansInputs(const ops::KMeansCase& c)
      : x(random_tensor({c.heads, c.count, c.head_dim}, 1, c.dtype)),
        centroids(DType::f32, {c.heads, c.clusters, c.head_dim}),
        labels(DType::i32, {c.heads, c.count}),
        counts(DType::i32, {c.heads, c.clusters}) {
    params.x = x;
    params.max_iterations = c.iterations;
    params.centroids = centroids;
    params.labels = labels;
    params.counts = counts;
  }
  Tensor x;
  Tensor centroids;
  Tensor labels;
  Tensor counts;
  ops::KMeansParams params;
};

void add_kmeans(std::vector<BenchCase>& cases) {
  for (const auto& c : ops::kmeans_bench_cases()) {
    BenchCase bench;
    bench.device = c.count > kMostTokensOnCpu ? Device::cuda : Device::cpu;
    bench.op = "kmeans";
    bench.name = size_name(c.name.c_str(), c.dtype, c.heads, c.count, c.head_dim) +
                 fmt::format(" {} clusters, {} iteration{}", c.clusters, c.iterations,
                             c.iterations == 1 ? "" : "s");
    bench.operations = 2.0 * static_cast<double>(c.heads * c.count * c.head_dim) *
                       static_cast<double>(c.clusters) * c.iterations;
    bench.baseline = c.dtype == DType::bf16 ? Baseline::gemm_bf16 : Baseline::gemm_f32;
    bench.prepare = [c](Device device) {
      return prepare_op(ops::kmeans_implementations(), device,
                        [&] { return std::make_shared<KMeansInputs>(c); });
    };
    cases.push_back(std::move(bench));
  }
}

/// Clusters as k-means finds them, rounded to 16.
struct RoundClustersInputs : KMeansInputs {
  explicit RoundClustersInputs(const ops::KMeansCase& c)
      : KMeansInputs(c),
        order(DType::i32, {c.heads, c.count}),
        offsets(DType::i32, {c.heads, c.clusters + 1}),
        params{x, centroids, order, offsets, 16, labels} {
    Context context;
    ops::kmeans(KMeansInputs::params, context);
    ops::cluster_order({labels, order, offsets}, context);
  }
  Tensor order;
  Tensor offsets;
  ops::RoundClustersParams params;
};

void add_round_clusters(std::vector<BenchCase>& cases) {
  for (const auto& c : ops::kmeans_bench_cases()) {
    BenchCase bench;
    bench.device = c.count > kMostTokensOnCpu ? Device::cuda : Device::cpu;
    bench.op = "round_clusters";
    bench.name = size_name(c.name.c_str(), c.dtype, c.heads, c.count, c.head_dim) +
                 fmt::format(" {} clusters", c.clusters);
    bench.bytes =
        static_cast<double>(c.heads * c.count * c.head_dim) * static_cast<double>(size_of(c.dtype));
    bench.prepare = [c](Device device) {
      return prepare_op(ops::round_clusters_implementations(), device,
                        [&] { return std::make_shared<RoundClustersInputs>(c); });
    };
    cases.push_back(std::move(bench));
  }
}

}  // namespace

std::vector<BenchCase> attention_bench() {
  std::vector<BenchCase> cases;
  add_dense(cases);
  add_dense_8bit(cases);
  add_block_sparse(cases);
  add_block_sparse_8bit(cases);
  add_band(cases);
  add_kmeans(cases);
  add_round_clusters(cases);
  return cases;
}

}  // namespace sparsevid
