#include "pipeline/denoise.h"

#include <array>

#include "base/error.h"
#include "core/readback.h"
#include "ops/copy.h"
#include "ops/guidance.h"
#include "ops/linear_combination.h"
#include "pipeline/finite.h"
#include "pipeline/observed_attention.h"

namespace sparsevid {
namespace {

/// The latent-sized buffers of a schedule; those it never names take no memory.
class Buffers {
 public:
  Buffers(const Schedule& schedule, const TensorView& latents) : device_(latents.device()) {
    at(Buffer::sample) = latents;
    own(Buffer::model_output, latents.shape());
    for (const auto& step : schedule.updates)
      for (const auto& update : step)
        if (!at(update.target).defined()) own(update.target, latents.shape());
  }

  const TensorView& operator[](Buffer buffer) const {
    return views_[static_cast<std::size_t>(buffer)];
  }

 private:
  TensorView& at(Buffer buffer) { return views_[static_cast<std::size_t>(buffer)]; }
  void own(Buffer buffer, const Shape& shape) {
    owned_[static_cast<std::size_t>(buffer)] = Tensor(DType::f32, shape, device_);
    at(buffer) = owned_[static_cast<std::size_t>(buffer)];
  }

  Device device_;
  std::array<Tensor, kBufferCount> owned_;
  std::array<TensorView, kBufferCount> views_;
};

void apply(const std::vector<Update>& updates, const Buffers& buffers, Context& context) {
  for (const auto& update : updates) {
    ops::LinearCombinationParams params;
    params.out = buffers[update.target];
    for (const auto& term : update.terms)
      params.terms.push_back({.x = buffers[term.source], .coefficient = term.weight});
    ops::linear_combination(params, context);
  }
}

}  // namespace

void denoise(Dit& dit, AttentionMethod& attention, const Schedule& schedule,
             const DenoiseOptions& options, const TensorView& latents, ProgressReporter& progress,
             Context& context) {
  const bool guided = options.guidance > 1;
  const int branches = guided ? 2 : 1;
  const Buffers buffers(schedule, latents);
  std::array<Tensor, 2> velocity;
  for (int branch = 0; branch < branches; ++branch)
    velocity[static_cast<std::size_t>(branch)] =
        Tensor(dit.dtype(), latents.shape(), latents.device());
  Readback readback;
  ObservedAttention observed(attention, dit.layers() * branches, progress);

  const Zone whole(context.profile, "sampling");
  progress.begin(Stage::sampling, schedule.steps());
  for (int step = 0; step < schedule.steps(); ++step) {
    const auto index = static_cast<std::size_t>(step);
    for (int branch = 0; branch < branches; ++branch) {
      const Zone zone(context.profile, "transformer");
      dit.forward({.latents = latents,
                   .timestep = schedule.timesteps[index],
                   .step = step,
                   .branch = branch},
                  observed, velocity[static_cast<std::size_t>(branch)], context);
    }
    const TensorView& output = buffers[Buffer::model_output];
    if (guided)
      ops::guidance(
          {.cond = velocity[0], .uncond = velocity[1], .scale = options.guidance, .out = output},
          context);
    else
      ops::copy({.x = velocity[0], .out = output}, context);
    apply(schedule.updates[index], buffers, context);
    // A GPU has its next step queued before the host looks at the latents of this one.
    readback.finish();
    readback.read(latents, context, [&context, step, &schedule](const TensorView& on_cpu) {
      require(
          all_finite(on_cpu, context.threads), ErrorKind::internal,
          "sampling step {} of {}: the latents are not finite; the transformer's weights may be "
          "damaged",
          step + 1, schedule.steps());
    });
    wait_for(context.device, context.stream);
    context.profile.settle();
    attention.end_step();
    if (options.after_step) options.after_step(step, latents);
    progress.complete(step + 1);
  }
  readback.finish();
}

std::size_t denoise_bytes(const Shape& latents, DType model_dtype) {
  return static_cast<std::size_t>(latents.numel()) *
         (kBufferCount * sizeof(float) + 2 * size_of(model_dtype));
}

}  // namespace sparsevid
