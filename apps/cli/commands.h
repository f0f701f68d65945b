// The subcommands; each adds its flags and, when chosen, runs and sets the exit code.
#pragma once

#include <CLI/CLI.hpp>

namespace sparsevid::cli {

void add_generate(CLI::App& app, int& exit_code);
void add_inspect(CLI::App& app, int& exit_code);
void add_compare(CLI::App& app, int& exit_code);
void add_bench(CLI::App& app, int& exit_code);

/// stdout, checked: a full disk or a closed pipe must not look like success. Throws Error(io).
void write_stdout(const std::string& text);

}  // namespace sparsevid::cli
