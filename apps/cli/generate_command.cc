#include <cstdio>
#include <memory>

#include "commands.h"
#include "exit_codes.h"
#include "flags.h"
#include "progress_line.h"
#include "signals.h"
#include "sparsevid/sparsevid.h"

namespace sparsevid::cli {
namespace {

constexpr const char* kVideo = "Video";
constexpr const char* kSampling = "Sampling";
constexpr const char* kAttention = "Attention";
constexpr const char* kMachine = "Machine";
constexpr const char* kFiles = "Files and messages";
constexpr const char* kModels = "the model's";

struct Flags {
  GenerateOptions options;
  std::string model;
  std::string dtype = "auto";
  std::string vae_dtype = "auto";
  std::string linear = "dtype";
  std::string max_vram;
  std::string offload = "none";
  std::string attention_dtype = "dtype";
  std::string sigmas = "current";
  std::string log;
  std::map<std::string, std::string> attention;  // as given
  bool quiet = false;
  bool skip_memory_check = false;
};

Precision precision_of(const std::string& word) {
  if (word == "f32") return Precision::f32;
  if (word == "bf16") return Precision::bf16;
  if (word == "bf16x3") return Precision::bf16x3;
  return word == "tf32" ? Precision::tf32 : Precision::automatic;
}

void add_video_flags(CLI::App& command, Flags& flags) {
  GenerateOptions& options = flags.options;
  command.add_option("-p,--prompt", options.prompt, "What the video shows")
      ->group(kVideo)
      ->type_name("TEXT");
  command.add_option("-n,--negative-prompt", options.negative_prompt, "What it should not show")
      ->group(kVideo)
      ->type_name("TEXT");
  command.add_option("-m,--model", flags.model, "Checkpoint folder, as diffusers saves it")
      ->group(kVideo)
      ->type_name("FOLDER")
      ->required();
  command
      .add_option("-o,--output", options.output,
                  "clip.mp4, .webm or .gif; a name without extension: a folder of PNG")
      ->group(kVideo)
      ->type_name("FILE")
      ->required();
  describe(command.add_option("--height", options.height, "Pixels")->check(whole_number(1, 65536)),
           kVideo, "N", kModels);
  describe(command.add_option("--width", options.width, "Pixels")->check(whole_number(1, 65536)),
           kVideo, "N", kModels);
  describe(command.add_option("--frames", options.frames, "Frames, 4k + 1")
               ->check(whole_number(1, 1 << 20)),
           kVideo, "N", kModels);
  describe(command.add_option("--fps", options.fps, "Frames a second")->check(number(0.1, 240)),
           kVideo, "X", kModels);
}

void add_sampling_flags(CLI::App& command, Flags& flags) {
  GenerateOptions& options = flags.options;
  describe(
      command.add_option("--steps", options.steps, "Denoising steps")->check(whole_number(1, 1000)),
      kSampling, "N", kModels);
  describe(command
               .add_option("--guidance", options.guidance,
                           "How strongly the prompt rules; up to 1: one pass a step")
               ->check(number(0, 100)),
           kSampling, "X", kModels);
  describe(command.add_option("--flow-shift", options.flow_shift, "Shift of the noise levels")
               ->check(number(0.01, 100)),
           kSampling, "X", kModels);
  describe(command.add_option("--seed", options.seed, "Of the first noise, as torch.manual_seed")
               ->check(whole_number(0, INT64_MAX)),
           kSampling, "N", "0");
  describe(command.add_option("--sigmas", flags.sigmas, "current, or legacy: diffusers to 0.36")
               ->check(one_of("current|legacy")),
           kSampling, "GRID", "current");
}

std::string flag_name(std::string setting) {
  for (auto& c : setting)
    if (c == '_') c = '-';
  return "--" + setting;
}

void add_attention_flags(CLI::App& command, Flags& flags) {
  std::string words;
  for (const auto& method : attention_method_list())
    words += (words.empty() ? "" : "|") + method.name;
  describe(command.add_option("--attention", flags.options.attention, words)->check(one_of(words)),
           kAttention, "METHOD", kModels);
  for (const auto& setting : attention_setting_list()) {
    auto* option =
        command.add_option(flag_name(setting.name), flags.attention[setting.name], setting.help);
    switch (setting.kind) {
      case SettingKind::share:
        describe(option->check(number(0, 1)), kAttention, "X", "");
        break;
      case SettingKind::count:
        describe(option->check(whole_number(0, 1 << 30)), kAttention, "N", "");
        break;
      case SettingKind::on_off:
        describe(option->check(one_of("on|off")), kAttention, "on|off", "");
        break;
    }
  }
}

void add_machine_flags(CLI::App& command, Flags& flags) {
  describe(
      command.add_option("--dtype", flags.dtype, "f32, bf16, or auto: what the device is fast in")
          ->check(one_of("auto|f32|bf16")),
      kMachine, "TYPE", "auto");
  describe(command
               .add_option("--vae-dtype", flags.vae_dtype,
                           "For the decoder: f32, bf16, or f32 with the products of a GPU's matrix "
                           "units, bf16x3 (auto, where there are such) or tf32")
               ->check(one_of("auto|f32|bf16x3|tf32|bf16")),
           kMachine, "TYPE", "auto");
  describe(command
               .add_option("--linear", flags.linear,
                           "fp8: the transformer's large matrices in e4m3, on a GPU")
               ->check(one_of("dtype|fp8")),
           kMachine, "TYPE", "dtype");
  describe(command
               .add_option("--max-vram", flags.max_vram,
                           "Memory of the GPU to take at most: GiB, or with K, M, G or T")
               ->check(memory_size()),
           kMachine, "SIZE", "what is free");
  describe(command
               .add_option("--offload", flags.offload,
                           "text: the text encoder comes in layers; blocks: the transformer's "
                           "blocks that do not fit, too")
               ->check(one_of("none|text|blocks")),
           kMachine, "WHAT", "none");
  describe(command
               .add_option("--attention-dtype", flags.attention_dtype,
                           "8bit: self-attention in 8 bits, on a GPU")
               ->check(one_of("dtype|8bit")),
           kMachine, "TYPE", "dtype");
  describe(command.add_option("--threads", flags.options.threads, "0: all cores")
               ->check(whole_number(0, 4096)),
           kMachine, "N", "0");
  describe(command.add_option("--device", flags.options.device, "auto: a GPU where there is one")
               ->check(one_of("auto|cpu|cuda")),
           kMachine, "NAME", "auto");
  command
      .add_flag("--skip-memory-check", flags.skip_memory_check, "Start even if it seems not to fit")
      ->group(kMachine);
}

void add_file_flags(CLI::App& command, Flags& flags) {
  GenerateOptions& options = flags.options;
  command.add_option("--report", options.report, "Write what ran and what it cost, as JSON")
      ->group(kFiles)
      ->type_name("FILE");
  command
      .add_option("--trace", options.trace,
                  "Write when each op ran, for chrome://tracing or ui.perfetto.dev")
      ->group(kFiles)
      ->type_name("FILE");
  command
      .add_option("--save-latents", options.latents_path,
                  "Keep the latents; without FILE beside the output")
      ->group(kFiles)
      ->type_name("[FILE]")
      ->expected(0, 1);
  command.add_option("--from-latents", options.from_latents, "Decode saved latents, do not sample")
      ->group(kFiles)
      ->type_name("FILE");
  command.add_flag("-q,--quiet", flags.quiet, "No progress and no summary")->group(kFiles);
  command.add_option("--log", flags.log, "dispatch, memory, time or all, comma separated")
      ->group(kFiles)
      ->type_name("LIST");
}

void generate(Flags& flags, const CLI::App& command) {
  if (!flags.log.empty()) enable_log(flags.log);
  GenerateOptions& options = flags.options;
  options.precision = precision_of(flags.dtype);
  options.vae_precision = precision_of(flags.vae_dtype);
  options.fp8_linears = flags.linear == "fp8";
  if (!flags.max_vram.empty()) options.max_vram = bytes_of(flags.max_vram);
  if (flags.offload == "text") options.offload = Offload::text;
  if (flags.offload == "blocks") options.offload = Offload::blocks;
  options.attention_in_8bit = flags.attention_dtype == "8bit";
  options.legacy_sigmas = flags.sigmas == "legacy";
  options.check_memory = !flags.skip_memory_check;
  options.save_latents = command.count("--save-latents") > 0;
  for (const auto& [name, word] : flags.attention)
    if (!word.empty())
      options.attention_settings[name] = word == "on" ? 1 : word == "off" ? 0 : std::stod(word);
  options.cancel = &catch_stop_signals();

  ProgressLine line(flags.quiet);
  const GenerateResult result = Model::load(flags.model).generate(options, &line);
  line.end_line();
  if (flags.quiet) return;
  for (const auto& text : result.summary) std::fprintf(stderr, "%s\n", text.c_str());
  if (!result.latents.empty()) std::fprintf(stderr, "latents    %s\n", result.latents.c_str());
  std::fprintf(stderr, "output     %s\n", result.output.c_str());
}

}  // namespace

void add_generate(CLI::App& app, int& /*exit_code*/) {
  auto* command = app.add_subcommand("generate", "Make a video from a prompt");
  const auto flags = std::make_shared<Flags>();
  add_video_flags(*command, *flags);
  add_sampling_flags(*command, *flags);
  add_attention_flags(*command, *flags);
  add_machine_flags(*command, *flags);
  add_file_flags(*command, *flags);
  command->callback([flags, command] { generate(*flags, *command); });
}

}  // namespace sparsevid::cli
