// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>

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

}  // namespace monsoon
