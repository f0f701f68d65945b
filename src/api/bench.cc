#include "sparsevid/bench.h"

#include <omp.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>

#include "api/bench_case.h"
#include "api/bench_method.h"
#include "api/guard.h"
#include "base/error.h"
#include "base/parallel.h"
#include "core/cuda_clock.h"
#include "core/transfer.h"
#include "ops/forced_implementations.h"
#include "ops/linear.h"
#include "pipeline/settings.h"
#include "testing/random_tensor.h"

namespace sparsevid {
namespace {

constexpr int kMaxRepeats = 1000;

/// Median seconds of one call, after one to warm up; at least three calls and `seconds` of them. On
/// a GPU its own clock tells, with no gaps between the calls.
double median_seconds(const std::function<void(Context&)>& run, double seconds, Context& context) {
  constexpr int kCallsAtOnce = 3;
  const int calls_at_once = context.device == Device::cpu ? 1 : kCallsAtOnce;
  CudaClock clock(context.stream);
  const auto wait = [&] { wait_for(context.device, context.stream); };
  run(context);
  wait();
  std::vector<double> times;
  const double start = now_seconds();
  while (times.size() < 3 || (now_seconds() - start < seconds && times.size() < kMaxRepeats)) {
    context.check_cancelled();
    if (context.device == Device::cpu) {
      const double begin = now_seconds();
      run(context);
      times.push_back(now_seconds() - begin);
      continue;
    }
    std::vector<DeviceClock::Mark> marks = {clock.mark()};
    for (int call = 0; call < calls_at_once; ++call) {
      run(context);
      marks.push_back(clock.mark());
      marks.push_back(clock.mark());
    }
    wait();
    for (int call = 0; call < calls_at_once; ++call) {
      const auto at = 2 * static_cast<std::size_t>(call);
      times.push_back(clock.between(marks[at], marks[at + 1]));
    }
    for (const DeviceClock::Mark mark : marks) clock.release(mark);
  }
  std::nth_element(times.begin(), times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2),
                   times.end());
  return times[times.size() / 2];
}

/// The reference points of this machine, measured when first asked for.
class Baselines {
 public:
  explicit Baselines(double seconds) : seconds_(seconds) {}

  /// Bytes read and written a second by a copy of 256 MiB on all threads.
  double copy_rate(Context& context) {
    if (copy_rate_ == 0) {
      constexpr std::int64_t kBytes = 256 << 20;
      if (context.device == Device::cuda) return copy_rate_ = device_copy_rate(context);
      const Tensor from(DType::u8, {kBytes});
      const Tensor to(DType::u8, {kBytes});
      std::memset(from->data(), 1, kBytes);
      copy_rate_ = 2 * static_cast<double>(kBytes) /
                   median_seconds(
                       [&](Context& c) {
                         parallel_for(c.threads, kBytes, kBytes / c.threads + 1,
                                      [&](std::int64_t begin, std::int64_t end) {
                                        std::memcpy(to->as<std::uint8_t>() + begin,
                                                    from->as<std::uint8_t>() + begin,
                                                    static_cast<std::size_t>(end - begin));
                                      });
                       },
                       seconds_, context);
    }
    return copy_rate_;
  }

  /// Operations a second of a product of large square matrices.
  double gemm_rate(DType dtype, Context& context) {
    double& rate = dtype == DType::bf16 ? gemm_bf16_ : gemm_f32_;
    if (rate == 0) {
      const std::int64_t size = gemm_size(context.device);
      const auto inputs = std::make_shared<Product>(size, dtype);
      rate = 2.0 * static_cast<double>(size) * static_cast<double>(size * size) /
             median_seconds(run_of(ops::linear_implementations(), context.device, inputs), seconds_,
                            context);
    }
    return rate;
  }

  static std::int64_t gemm_size(Device device) { return device == Device::cpu ? 2048 : 8192; }

 private:
  struct Product {
    Product(std::int64_t size, DType dtype)
        : x(random_tensor({size, size}, 1, dtype)),
          weight(random_tensor({size, size}, 2, dtype)),
          out(dtype, {size, size}),
          params{.x = x, .weight = weight, .bias = {}, .out = out} {}
    Tensor x, weight, out;
    ops::LinearParams params;
  };

  /// The same of 2 GiB on a GPU, by its runtime's own copy.
  double device_copy_rate(Context& context) const {
    constexpr std::int64_t kBytes = std::int64_t{2} << 30;
    const Tensor from(DType::u8, {kBytes}, Device::cuda);
    const Tensor to(DType::u8, {kBytes}, Device::cuda);
    return 2 * static_cast<double>(kBytes) /
           median_seconds([&](Context& c) { transfer(from, to, c); }, seconds_, context);
  }

  double seconds_;
  double copy_rate_ = 0;
  double gemm_bf16_ = 0;
  double gemm_f32_ = 0;
};

/// "onednn": what the dispatcher ran, from the zones the case left.
std::string implementation_of(const std::string& op, const Profile& profile) {
  const std::string prefix = "op." + op + ".";
  for (const auto& [name, entry] : profile.entries())
    if (name.starts_with(prefix)) return name.substr(prefix.size());
  return "";
}

std::string product_name(const char* dtype, Device device) {
  const auto size = Baselines::gemm_size(device);
  return fmt::format("{} product of {} x {}", dtype, size, size);
}

BenchResult measure(const BenchCase& bench, double seconds, Baselines& baselines,
                    Context& context) {
  const PreparedBench prepared = bench.prepare(context.device);
  context.profile = {};
  const double time = median_seconds(prepared.run, seconds, context);
  BenchResult result;
  result.op = bench.op;
  result.name = bench.name + " " + implementation_of(bench.op, context.profile);
  result.us = time * 1e6;
  result.tflops = bench.operations / time * 1e-12;
  result.gbps = bench.bytes / time * 1e-9;
  switch (bench.baseline) {
    case Baseline::none:
      break;
    case Baseline::copy:
      result.baseline = "memory copy";
      result.ratio = bench.bytes / time / baselines.copy_rate(context);
      break;
    case Baseline::gemm_bf16:
      result.baseline = product_name("bf16", context.device);
      result.ratio = bench.operations / time / baselines.gemm_rate(DType::bf16, context);
      break;
    case Baseline::gemm_f32:
      result.baseline = product_name("f32", context.device);
      result.ratio = bench.operations / time / baselines.gemm_rate(DType::f32, context);
      break;
    case Baseline::dense_attention:
      result.baseline = "our dense attention";
      result.ratio = median_seconds(prepared.dense, seconds, context) / time;
      break;
  }
  return result;
}

std::vector<BenchCase> cases_with(const std::string& filter, const Context& context) {
  std::vector<BenchCase> all = attention_bench();
  for (auto& bench : model_bench()) all.push_back(std::move(bench));
  std::erase_if(all, [&](const auto& bench) {
    return (bench.device == Device::cuda && context.device == Device::cpu) ||
           (bench.op + " " + bench.name).find(filter) == std::string::npos ||
           (bench.runs_on && !bench.runs_on(context));
  });
  return all;
}

Context context_for(const BenchOptions& options) {
  ops::check_forced_implementations();
  Context context(device_of(options.device));
  if (options.threads > 0) context.threads = options.threads;
  context.cancel = options.cancel;
  omp_set_num_threads(context.threads);
  return context;
}

}  // namespace

std::vector<std::string> bench_names(const BenchOptions& options) {
  std::vector<std::string> names;
  for (const auto& bench : cases_with(options.filter, context_for(options)))
    names.push_back(bench.op + " " + bench.name);
  return names;
}

void bench(const BenchOptions& options, const std::function<void(const BenchResult&)>& sink) {
  guarded([&] {
    Context context = context_for(options);
    Baselines baselines(options.seconds);
    const auto cases = cases_with(options.filter, context);
    require(!cases.empty(), ErrorKind::bad_input,
            "--filter: expected part of a name that bench --list shows, found '{}'",
            options.filter);
    for (const auto& one : cases) sink(measure(one, options.seconds, baselines, context));
  });
}

void bench_attention(const AttentionBenchOptions& attention, const BenchOptions& options,
                     const std::function<void(const BenchResult&)>& sink) {
  guarded([&] {
    Context context = context_for(options);
    for (const auto& result : measure_method(attention, context)) sink(result);
  });
}

std::string to_json(const BenchResult& result) {
  nlohmann::ordered_json json;
  json["op"] = result.op;
  json["case"] = result.name;
  json["us"] = result.us;
  json["tflops"] = result.tflops;
  json["gbps"] = result.gbps;
  json["baseline"] = result.baseline;
  json["ratio"] = result.ratio;
  json["share"] = result.share;
  return json.dump();
}

}  // namespace sparsevid
