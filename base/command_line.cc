// SPDX-License-Identifier: Apache-2.0
#include "base/command_line.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/spelling.h"

namespace monsoon {
namespace {

std::vector<std::string> FlagNames(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) {
      names.push_back("--" + name);
    }
  }
  return names;
}

// The first argument that belongs to no flag; "" when there is none. Asked
// before other errors: a misspelled flag is often why another one is missing.
absl::Status CheckRemaining(const CLI::App& app) {
  const std::vector<std::string> remaining = app.remaining();
  for (const std::string& argument : remaining) {
    if (!absl::StartsWith(argument, "-")) continue;
    return absl::InvalidArgumentError(UnknownName(
        "flag", argument.substr(0, argument.find('=')), FlagNames(app)));
  }
  if (remaining.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("unexpected argument \"", remaining.front(),
                   "\"; expected flags (see --help)"));
}

// CLI11 takes whatever follows a flag as its value, so a value can only be
// missing behind the last word, or behind "--flag=".
absl::Status MissingValue(CLI::App& app, int argc, const char* const* argv) {
  for (int i = 1; i < argc; ++i) {
    absl::string_view word = argv[i];
    if (!absl::ConsumeSuffix(&word, "=") && i != argc - 1) continue;
    const CLI::Option* option = app.get_option_no_throw(std::string(word));
    if (option == nullptr) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(word, ": found no value, expected ",
                     option->get_type_name(), ": ", option->get_description()));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ParseCommandLine(CLI::App& app, int argc, const char* const* argv,
                              std::string& help) {
  help.clear();
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    help = app.help();
  } catch (const CLI::ArgumentMismatch& error) {
    absl::Status status = CheckRemaining(app);
    status.Update(MissingValue(app, argc, argv));
    status.Update(absl::InvalidArgumentError(error.what()));
    return status;
  } catch (const CLI::Error& error) {
    absl::Status status = CheckRemaining(app);
    status.Update(absl::InvalidArgumentError(error.what()));
    return status;
  }
  return absl::OkStatus();
}

int ExitCode(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return 0;
    case absl::StatusCode::kInvalidArgument:
      return 2;
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kDataLoss:
      return 3;
    default:
      return 1;
  }
}

int Fail(absl::string_view program, const absl::Status& status) {
  const std::string line =
      absl::StrCat(program, ": error: ", status.message(), "\n");
  std::fputs(line.c_str(), stderr);
  return ExitCode(status);
}

}  // namespace monsoon
