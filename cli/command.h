// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdio>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "base/command_line.h"
#include "base/registry.h"

namespace monsoon {

// A subcommand of `monsoon`: one file of cli/, registered by itself.
struct Command {
  std::string help;  // one line
  // argv[0] is the subcommand's name, the rest its arguments. Prints its own
  // results and errors; returns the exit code.
  int (*run)(int argc, const char* const* argv) = nullptr;
};

// At namespace scope of the subcommand's file:
//   const RegisterCommand kTrain("train", {.help = "...", .run = RunTrain});
struct RegisterCommand {
  RegisterCommand(std::string name, Command command) {
    Registry<Command>::Get().Add(std::move(name), std::move(command));
  }
};

// The life of a command: `read` fills Arguments from the command line, with the
// text of --help in their `help` or `flags.help` where that was asked for; then
// that is printed, or `run` does the work and says the exit code. Errors of
// both are printed.
template <typename Arguments, typename Run>
int RunCommand(const char* program, int argc, const char* const* argv,
               absl::Status (*read)(int, const char* const*, Arguments&),
               Run run) {
  Arguments arguments;
  const absl::Status status = read(argc, argv, arguments);
  if (!status.ok()) return Fail(program, status);
  const std::string* help = nullptr;
  if constexpr (requires { arguments.flags; }) {
    help = &arguments.flags.help;
  } else {
    help = &arguments.help;
  }
  if (!help->empty()) {
    std::fputs(help->c_str(), stdout);
    return 0;
  }
  const absl::StatusOr<int> code = run(arguments);
  return code.ok() ? *code : Fail(program, code.status());
}

}  // namespace monsoon
