// SPDX-License-Identifier: Apache-2.0
//
// monsoon: finds the subcommand and hands over.
#include <cstdio>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/command_line.h"
#include "base/registry.h"
#include "base/spelling.h"
#include "cli/command.h"
#include "cuda/cuda.h"
#include "transport/grpc_settings.h"

namespace monsoon {
namespace {

using Commands = Registry<Command>;

void PrintHelp(std::FILE* out) {
  std::fputs(
      "A parameter server with pluggable asynchronous trainers.\n"
      "Usage: monsoon COMMAND [FLAGS]\n\nCommands:\n",
      out);
  for (const std::string& name : Commands::Get().names()) {
    std::fprintf(out, "  %-14s %s\n", name.c_str(),
                 Commands::Get().Find(name)->help.c_str());
  }
  std::fputs(
      "\nmonsoon COMMAND --help shows the flags of a command; monsoon "
      "--version "
      "the\nversion. Clusters by hand: monsoon-server, monsoon-worker.\n",
      out);
}

int Dispatch(int argc, const char* const* argv) {
  if (argc < 2) {
    PrintHelp(stderr);
    return ExitCode(absl::InvalidArgumentError("no command"));
  }
  const absl::string_view word = argv[1];
  if (word == "--version") {
    std::printf("monsoon %s\ncuda: %s\n", MONSOON_VERSION,
                CudaVersions().c_str());
    return 0;
  }
  if (word == "--help" || word == "-h" || word == "help") {
    PrintHelp(stdout);
    return 0;
  }
  // "bench kernels" is a command of its own.
  if (argc > 2) {
    const Command* nested =
        Commands::Get().Find(absl::StrCat(word, " ", argv[2]));
    if (nested != nullptr) return nested->run(argc - 2, argv + 2);
  }
  const Command* command = Commands::Get().Find(word);
  if (command == nullptr) {
    return Fail("monsoon", absl::InvalidArgumentError(UnknownName(
                               "command", word, Commands::Get().names())));
  }
  return command->run(argc - 1, argv + 1);
}

}  // namespace
}  // namespace monsoon

int main(int argc, char** argv) {
  monsoon::PrepareGrpc();
  return monsoon::Dispatch(argc, argv);
}
