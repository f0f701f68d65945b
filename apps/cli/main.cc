// The command line program: flags to calls of the library.
#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <iostream>

#include "commands.h"
#include "exit_codes.h"
#include "signals.h"
#include "sparsevid/sparsevid.h"
#include "thread_waiting.h"

namespace sparsevid::cli {

void write_stdout(const std::string& text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)
    throw Error(ErrorKind::io, "standard output: writing failed");
}

namespace {

/// A closed standard stream gives its number to the next file, which may be the clip. What is put
/// in its place can be read only, so that results that go nowhere are still a failure.
void fill_closed_streams() {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (fcntl(stream, F_GETFD) < 0) open("/dev/null", O_RDONLY);
}

int exit_code_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::bad_input:
    case ErrorKind::bad_file:
      return kBadInput;
    case ErrorKind::cancelled:
      return stop_signal() != 0 ? kSignalBase + stop_signal() : kFailure;
    case ErrorKind::out_of_memory:
    case ErrorKind::io:
    case ErrorKind::internal:
      break;
  }
  return kFailure;
}

int complain(const std::string& message, int code) {
  std::fprintf(stderr, "sparsevid: error: %s\n", message.c_str());
  return code;
}

bool is_subcommand(CLI::App& app, const std::string& word) {
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    if (command->get_name() == word) return true;
  return false;
}

/// "sparsevid bench attention --help": of what was given as far as it is known.
std::string help_command(const CLI::App& app) {
  std::string command = "sparsevid";
  for (const CLI::App* at = &app; !at->get_subcommands().empty();) {
    at = at->get_subcommands().front();
    command += " " + at->get_name();
  }
  return command + " --help";
}

int run(int argc, char** argv) {
  CLI::App app("Video from text with diffusion transformers and sparse attention.", "sparsevid");
  app.set_version_flag("--version", std::string("sparsevid ") + version());
  app.require_subcommand(1);
  app.get_formatter()->column_width(34);
  // A flag given twice: the last one counts, so that a script's defaults can be overridden.
  app.option_defaults()->take_last();
  int code = kOk;
  add_generate(app, code);
  add_inspect(app, code);
  add_compare(app, code);
  add_bench(app, code);
  if (argc > 1 && argv[1][0] != '-' && !is_subcommand(app, argv[1]))
    return complain(
        std::string("expected generate, inspect, compare or bench, found '") + argv[1] + "'",
        kBadInput);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    return complain(std::string(error.what()) + "; see " + help_command(app), kBadInput);
  }
  return code;
}

}  // namespace
}  // namespace sparsevid::cli

int main(int argc, char** argv) {
  using namespace sparsevid::cli;
  fill_closed_streams();
  let_waiting_threads_sleep(argv);
  // Writing that fails is an error with a message, not the end of the process.
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  try {
    return run(argc, argv);
  } catch (const sparsevid::Error& error) {
    if (error.kind() != sparsevid::ErrorKind::cancelled)
      return complain(error.what(), exit_code_of(error.kind()));
    std::fprintf(stderr, "sparsevid: %s\n", error.what());
    return exit_code_of(error.kind());
  } catch (const std::exception& error) {
    return complain(error.what(), kFailure);
  }
}
