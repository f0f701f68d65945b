#include "pipeline/generate.h"

#include <omp.h>

#include <charconv>
#include <exception>
#include <new>
#include <optional>

#include "attention/factory/factory.h"
#include "base/error.h"
#include "base/log.h"
#include "core/cuda_clock.h"
#include "core/cuda_runtime.h"
#include "core/transfer.h"
#include "io/atomic_file.h"
#include "ops/forced_implementations.h"
#include "pipeline/decode_video.h"
#include "pipeline/denoise.h"
#include "pipeline/finite.h"
#include "pipeline/output_files.h"
#include "pipeline/trace.h"
#include "sampling/noise.h"

namespace sparsevid {
namespace {

double seconds_in_ops(const Profile& profile) {
  double sum = 0;
  for (const auto& [name, entry] : profile.entries())
    if (name.starts_with("op.")) sum += entry.seconds;
  return sum;
}

class Run {
 public:
  Run(const Recipe& recipe, const GenerateOptions& options, Observer* observer)
      : recipe_(recipe),
        options_(options),
        progress_(observer),
        settings_(resolve_settings(recipe, options)),
        kept_(options),
        context_(settings_.device) {
    context_.threads = settings_.threads;
    context_.cancel = options.cancel;
    omp_set_num_threads(settings_.threads);
    if (!options.trace.empty()) context_.profile.trace(&trace_.on_device);
    if (settings_.device == Device::cuda) {
      clock_.emplace(context_.stream);
      context_.profile.use(&*clock_);
      cuda_runtime::limit_memory(settings_.max_vram);
    }
  }
  ~Run() {
    if (settings_.device == Device::cuda) cuda_runtime::limit_memory(0);
  }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  RunReport run() {
    const double start = now_seconds();
    check_outputs(recipe_, options_);
    Tensor latents;
    Metadata metadata;
    if (settings_.decode_only) {
      latents = open_latents(metadata);
    } else {
      metadata = to_metadata(settings_, recipe_);
      size_ = {settings_.frames, settings_.height, settings_.width};
    }
    const Shape shape = recipe_.latent_shape(settings_.height, settings_.width, settings_.frames);
    check_disk_space(options_, size_, shape);
    check_memory_plan();
    if (!settings_.decode_only) {
      latents = sample(shape);
      kept_.write(latents, metadata);
    }
    decode(latents, metadata);
    kept_.finish();
    return report(metadata, now_seconds() - start);
  }

 private:
  /// A stage of the report: from its construction to its end.
  class Stopwatch {
   public:
    Stopwatch(Run& run, const char* stage) : run_(run), stage_(stage), start_(now_seconds()) {}
    ~Stopwatch() {
      run_.finish_device_work();
      const double seconds = now_seconds() - start_;
      run_.report_.stage_seconds.emplace_back(stage_, seconds);
      run_.note_on_host(stage_, -1, start_, seconds);
      log(LogCategory::time, "{}: {:.3f} s", stage_, seconds);
    }

   private:
    Run& run_;
    const char* stage_;
    double start_;
  };

  /// What a phase takes of a GPU, from its construction to where it is told that all is there.
  class MemoryMeter {
   public:
    MemoryMeter(Run& run, const char* phase) : run_(run), phase_(phase) {
      if (on_gpu()) cuda_runtime::begin_peak();
    }
    void read() {
      if (!on_gpu()) return;
      const std::uint64_t free = cuda_memory().free;
      run_.report_.phase_memory.push_back(
          {phase_, cuda_allocations().peak_bytes,
           run_.free_at_start_ - std::min(free, run_.free_at_start_)});
    }

   private:
    bool on_gpu() const { return run_.context_.device == Device::cuda; }
    Run& run_;
    const char* phase_;
  };

  /// What happens within the steps of sampling: how much of their time is spent in ops, and whether
  /// one but the first asks for memory.
  class StepMeter {
   public:
    explicit StepMeter(Run& run) : run_(run), start_(now_seconds()) {
      run_.finish_device_work();
      in_ops_ = seconds_in_ops(run_.context_.profile);
    }
    void read(int step) {
      const double now = now_seconds();
      const double in_ops = seconds_in_ops(run_.context_.profile);
      run_.report_.busy_share.push_back((in_ops - in_ops_) / (now - start_));
      run_.note_on_host("step", step + 1, start_, now - start_);
      start_ = now;
      in_ops_ = in_ops;
      if (step == 0) allocations_ = cuda_allocations().count;
    }
    void finish() { run_.report_.late_allocations = cuda_allocations().count - allocations_; }

   private:
    Run& run_;
    double start_;
    double in_ops_ = 0;
    long allocations_ = 0;
  };

  void note_on_host(const char* what, int index, double start, double seconds) {
    if (!options_.trace.empty()) trace_.on_host.push_back({what, index, start, seconds});
  }

  /// On a GPU the scratch of a phase is taken at once, as planned; on the CPU it grows.
  void reserve_scratch(std::string_view phase) {
    const std::uint64_t bytes = planned_scratch(report_.plan, phase);
    if (context_.device == Device::cuda && bytes > 0) context_.arena.reserve(bytes);
  }

  /// So that a stage's seconds are those of its work, and its zones are known.
  void finish_device_work() noexcept {
    try {
      wait_for(context_.device, context_.stream);
      context_.profile.settle();
    } catch (...) {
      // What went wrong on the device shows again where it is waited for.
    }
  }

  Tensor open_latents(Metadata& metadata) {
    const auto channels = static_cast<int>(recipe_.latent_shape(64, 64, 1)[0]);
    LatentsFile file = read_latents(options_.from_latents, channels);
    size_ = recipe_.clip_size(file.latents->shape());
    settings_.frames = size_[0];
    settings_.height = size_[1];
    settings_.width = size_[2];
    check_size(recipe_, settings_.height, settings_.width, settings_.frames);
    metadata = std::move(file.metadata);
    const auto fps = metadata.find("fps");
    if (!options_.fps && fps != metadata.end()) {
      // Not strtod, which takes the decimal point of the caller's locale.
      const char* const end = fps->second.data() + fps->second.size();
      const auto read = std::from_chars(fps->second.data(), end, settings_.fps);
      require(read.ec == std::errc() && read.ptr == end && settings_.fps > 0 &&
                  settings_.fps <= kMaxFps,
              ErrorKind::bad_file,
              "{}: metadata fps: expected more than 0 and up to {}, found '{}'",
              options_.from_latents, kMaxFps, fps->second);
    }
    metadata["fps"] = fmt::format("{}", settings_.fps);
    return std::move(file.latents);
  }

  void check_memory_plan() {
    report_.free_bytes = free_memory_for(settings_);
    if (settings_.device == Device::cuda) free_at_start_ = cuda_memory().free;
    settings_ = fitted(recipe_, settings_, report_.free_bytes);
    report_.plan = plan_memory(recipe_, settings_);
    if (options_.check_memory) check_memory(recipe_, settings_, report_.free_bytes, free_memory());
  }

  /// The states of both prompts, or of the first alone without guidance.
  std::vector<Tensor> encode_text() {
    const PromptTokens prompt = recipe_.tokenize(settings_.prompt);
    const PromptTokens negative = recipe_.tokenize(settings_.negative_prompt);
    report_.prompt_tokens = static_cast<int>(prompt.ids.size());
    warn_if_cut("--prompt", prompt);
    if (settings_.guided()) warn_if_cut("--negative-prompt", negative);

    MemoryMeter memory(*this, "text");
    std::unique_ptr<TextEncoder> encoder;
    {
      const Stopwatch watch(*this, "loading text encoder");
      progress_.begin(Stage::loading, 0);
      encoder = recipe_.load_text_encoder(settings_, context_);
    }
    context_.check_cancelled();
    const Stopwatch watch(*this, "text");
    reserve_scratch("text");
    progress_.begin(Stage::text, 0);
    std::vector<std::vector<int>> ids = {prompt.ids};
    if (settings_.guided()) ids.push_back(negative.ids);
    std::vector<Tensor> states = encoder->encode(ids, context_);
    for (const Tensor& state : states) {
      Tensor on_cpu;
      require(all_finite(view_on(Device::cpu, state, on_cpu, context_), context_.threads),
              ErrorKind::internal,
              "text: the states of a prompt are not finite; the text encoder's weights may be "
              "damaged");
    }
    memory.read();
    context_.arena.clear();
    return states;
  }

  void warn_if_cut(const char* flag, const PromptTokens& tokens) {
    if (tokens.cut > 0)
      warn(fmt::format("{}: longer than the model's {} tokens; its last {} were cut", flag,
                       recipe_.limits().max_text_tokens, tokens.cut));
  }

  Tensor sample(const Shape& shape) {
    const std::vector<Tensor> text = encode_text();
    MemoryMeter memory(*this, "sampling");
    std::unique_ptr<Dit> dit;
    {
      const Stopwatch watch(*this, "loading transformer");
      progress_.begin(Stage::loading, 0);
      dit = recipe_.load_dit(settings_, context_);
    }
    context_.check_cancelled();
    Scheduler scheduler = recipe_.scheduler();
    scheduler.set_flow_shift(settings_.flow_shift);
    scheduler.set_sigma_grid(settings_.legacy_sigmas ? SigmaGrid::legacy : SigmaGrid::current);
    const Schedule schedule = scheduler.schedule(settings_.steps);
    const TokenLayout layout = dit->layout(shape);
    for (const auto& segment : layout.segments)
      if (segment.role == Role::video) report_.video_tokens += segment.length;
    const auto attention = make_attention_method(
        settings_.attention, {.layers = dit->layers(), .steps = schedule.steps()});

    Tensor noise(DType::f32, shape);
    torch_randn(settings_.seed, noise);
    Tensor latents = moved_to(context_.device, std::move(noise), context_);
    {
      const Stopwatch watch(*this, "sampling");
      reserve_scratch("sampling");
      dit->set_texts(std::vector<TensorView>(text.begin(), text.end()), context_);
      StepMeter steps(*this);
      denoise(*dit, *attention, schedule,
              {.guidance = settings_.guidance,
               .after_step = [&](int step, const TensorView&) { steps.read(step); }},
              latents, progress_, context_);
      steps.finish();
    }
    memory.read();
    report_.step_seconds = progress_.step_seconds();
    report_.attention = attention->stats();
    context_.arena.clear();
    return moved_to(Device::cpu, std::move(latents), context_);
  }

  void decode(const TensorView& latents, const Metadata& metadata) {
    MemoryMeter memory(*this, "decoding");
    try {
      std::unique_ptr<Vae> vae;
      {
        const Stopwatch watch(*this, "loading decoder");
        progress_.begin(Stage::loading, 0);
        vae = recipe_.load_vae(settings_, context_);
      }
      context_.check_cancelled();
      const Stopwatch watch(*this, "decoding");
      reserve_scratch("decoding");
      Tensor moved;
      decode_video(*vae, view_on(context_.device, latents, moved, context_), size_, settings_.fps,
                   metadata, options_.output, progress_, context_);
      memory.read();
    } catch (const Error& error) {
      throw Error(error.kind(), error.what() + how_to_continue());
    } catch (const std::bad_alloc&) {
      throw Error(ErrorKind::out_of_memory, "decoding ran out of memory" + how_to_continue());
    }
  }

  std::string how_to_continue() const {
    return sparsevid::how_to_continue(kept_.path(), recipe_.folder(), options_.output);
  }

  RunReport report(const Metadata& metadata, double seconds) {
    report_.settings = metadata;
    report_.model = recipe_.folder().string();
    report_.output = options_.output;
    report_.latents = kept_.path().string();
    report_.dtype = settings_.decode_only ? settings_.vae_dtype : settings_.dtype;
    report_.threads = settings_.threads;
    report_.seconds = seconds;
    context_.profile.use(nullptr);
    context_.profile.trace(nullptr);
    report_.profile = context_.profile;
    report_.peak_bytes = peak_memory();
    if (context_.device == Device::cuda) {
      report_.gpu = cuda_device_name();
      report_.peak_bytes = 0;
      for (const PhaseMemory& phase : report_.phase_memory)
        report_.peak_bytes = std::max(report_.peak_bytes, phase.held);
    }
    std::vector<std::string> problems;
    if (!kept_.problem().empty()) problems.push_back(kept_.problem());
    const auto write = [&](const std::string& path, const std::string& json) {
      try {
        write_file(path, {json});
      } catch (const Error& error) {
        problems.emplace_back(error.what());
      }
    };
    if (!options_.report.empty()) write(options_.report, to_json(report_));
    if (!options_.trace.empty()) {
      trace_.device = report_.gpu.empty() ? "CPU" : report_.gpu;
      write(options_.trace, to_json(trace_));
    }
    require(problems.empty(), ErrorKind::io, "{}; the clip is complete in {}{}",
            fmt::join(problems, "; "), options_.output,
            kept_.problem().empty() || kept_.path().empty()
                ? ""
                : fmt::format(", the latents are in {}", kept_.path().string()));
    return std::move(report_);
  }

  const Recipe& recipe_;
  const GenerateOptions& options_;
  ProgressReporter progress_;
  Settings settings_;
  KeptLatents kept_;
  Context context_;
  std::optional<CudaClock> clock_;
  std::array<int, 3> size_{};  // frames, height, width in pixels
  std::uint64_t free_at_start_ = 0;
  RunReport report_;
  Trace trace_;
};

}  // namespace

RunReport generate(const Recipe& recipe, const GenerateOptions& options, Observer* observer) {
  ops::check_forced_implementations();
  return Run(recipe, options, observer).run();
}

}  // namespace sparsevid
