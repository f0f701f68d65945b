// One thing to time, and what its speed is compared with.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/context.h"
#include "ops/implementation_list.h"
#include "ops/on_device.h"

namespace sparsevid {

enum class Baseline : std::uint8_t {
  none,
  copy,             ///< bytes a second of a large memory copy in the same run
  gemm_bf16,        ///< operations a second of a large matrix product in the same run
  gemm_f32,         ///< the same in f32
  dense_attention,  ///< seconds of dense attention at the same size
};

/// Inputs made, ready to run.
struct PreparedBench {
  std::function<void(Context&)> run;
  std::function<void(Context&)> dense;  ///< for Baseline::dense_attention
};

struct BenchCase {
  std::string op;
  std::string name;
  double operations = 0;  ///< floating point, of one call
  double bytes = 0;       ///< that have to move, of one call
  Baseline baseline = Baseline::none;
  Device device = Device::cpu;                  ///< the smallest that the size makes sense on
  std::function<bool(const Context&)> runs_on;  ///< unless every such device runs it
  std::function<PreparedBench(Device)> prepare;
};

/// Runs an op on `inputs->params`, moved to the device first.
template <typename Params, typename Inputs>
std::function<void(Context&)> run_of(const ops::ImplementationList<Params>& list, Device device,
                                     const std::shared_ptr<Inputs>& inputs) {
  if (device == Device::cpu)
    return [inputs, &list](Context& context) { list.run(inputs->params, context); };
  const auto moved = std::make_shared<ops::OnDevice<Params>>(inputs->params);
  return [moved, &list](Context& context) { list.run(moved->params(), context); };
}

/// Whether a device runs an op on parameters like these by itself.
template <typename Params>
bool has_implementation(const ops::ImplementationList<Params>& list, const Params& params,
                        const Context& context) {
  return std::any_of(list.entries().begin(), list.entries().end(), [&](const auto& entry) {
    return entry.device == context.device && entry.refusal(params, context).empty();
  });
}

/// A case of an op: `make` builds an Inputs with a member `params`, whose tensors it owns.
template <typename Params, typename Make>
PreparedBench prepare_op(const ops::ImplementationList<Params>& list, Device device,
                         const Make& make) {
  return {run_of(list, device, make()), {}};
}

std::vector<BenchCase> attention_bench();  ///< attention and clustering ops
std::vector<BenchCase> model_bench();      ///< products, convolutions, norms

}  // namespace sparsevid
