#include <cstdio>
#include <memory>
#include <utility>

#include "commands.h"
#include "flags.h"
#include "signals.h"
#include "sparsevid/sparsevid.h"

namespace sparsevid::cli {
namespace {

struct Flags {
  BenchOptions options;
  AttentionBenchOptions attention;
  bool json = false;
  bool list = false;
};

std::string row(const BenchResult& result) {
  char numbers[96];
  std::snprintf(numbers, sizeof numbers, "%11.1f us %8.3f TFLOP/s %8.2f GB/s", result.us,
                result.tflops, result.gbps);
  std::string text = result.op + " " + result.name;
  if (text.size() < 56) text.resize(56, ' ');
  text += numbers;
  if (result.ratio > 0) {
    std::snprintf(numbers, sizeof numbers, "  %.3fx ", result.ratio);
    text += numbers + result.baseline;
  }
  if (result.share > 0) {
    std::snprintf(numbers, sizeof numbers, "  %.2f %% of ", 100 * result.share);
    text += numbers + result.baseline;
  }
  return text + "\n";
}

}  // namespace

void add_bench(CLI::App& app, int& /*exit_code*/) {
  auto* command = app.add_subcommand("bench", "Time ops and attention methods on this machine");
  const auto flags = std::make_shared<Flags>();
  command->add_flag("--list", flags->list, "Only name the cases");
  command->add_option("--filter", flags->options.filter, "Only cases whose name contains TEXT")
      ->type_name("TEXT");
  command->add_flag("--json", flags->json, "One JSON object a line");
  command->add_option("--device", flags->options.device, "auto: a GPU where there is one")
      ->check(one_of("auto|cpu|cuda"))
      ->type_name("NAME")
      ->default_str("auto");
  command->add_option("--threads", flags->options.threads, "0: all cores")
      ->check(whole_number(0, 4096))
      ->type_name("N")
      ->default_str("0");
  command->add_option("--seconds", flags->options.seconds, "Measure a case at least this long")
      ->check(number(0, 600))
      ->type_name("X")
      ->default_str("0.5");
  command->fallthrough();

  auto* attention = command->add_subcommand(
      "attention", "One attention method at one size, everything included, against dense");
  AttentionBenchOptions& size = flags->attention;
  std::string words;
  for (const auto& method : attention_method_list())
    words += (words.empty() ? "" : "|") + method.name;
  attention->add_option("--attention", size.method, words)
      ->check(one_of(words))
      ->type_name("METHOD")
      ->default_str(size.method);
  const auto add_count = [&](const char* name, int& value, const char* help, int high) {
    attention->add_option(name, value, help)
        ->check(whole_number(1, high))
        ->type_name("N")
        ->default_str(std::to_string(value));
  };
  add_count("--heads", size.heads, "Heads", 1024);
  add_count("--tokens", size.tokens, "Tokens", 1 << 22);
  attention->add_option("--text-tokens", size.text_tokens, "Of these, text behind the video")
      ->check(whole_number(0, 1 << 20))
      ->type_name("N")
      ->default_str("0");
  add_count("--head-dim", size.head_dim, "Head dimension", 256);
  add_count("--steps", size.steps, "Denoising steps to average over", 1000);
  attention->add_option("--density", size.density, "Share of the query-key pairs")
      ->check(number(0.001, 1))
      ->type_name("X")
      ->default_str("0.25");
  for (const auto& [name, value] : {std::pair{"--query-clusters", &size.query_clusters},
                                    std::pair{"--key-clusters", &size.key_clusters}}) {
    attention->add_option(name, *value, "0: the method's own for this many tokens")
        ->check(whole_number(0, 1 << 20))
        ->type_name("N")
        ->default_str("0");
  }
  attention->add_option("--dtype", size.dtype, "f32 or bf16")
      ->check(one_of("f32|bf16"))
      ->type_name("TYPE")
      ->default_str(size.dtype);
  attention->add_option("--data", size.data, "video: smooth as a model's queries and keys; normal")
      ->check(one_of("video|normal"))
      ->type_name("KIND")
      ->default_str(size.data);

  command->callback([flags, attention] {
    flags->options.cancel = &catch_stop_signals();
    const auto print = [&](const BenchResult& result) {
      write_stdout(flags->json ? to_json(result) + "\n" : row(result));
    };
    if (attention->parsed()) {
      bench_attention(flags->attention, flags->options, print);
    } else if (flags->list) {
      for (const auto& name : bench_names(flags->options)) write_stdout(name + "\n");
    } else {
      bench(flags->options, print);
    }
  });
}

}  // namespace sparsevid::cli
