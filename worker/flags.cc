// SPDX-License-Identifier: Apache-2.0
#include "worker/flags.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "base/command_line.h"
#include "base/status_macros.h"
#include "worker/config_file.h"
#include "worker/option_fields.h"

namespace monsoon {
namespace {

std::string Help(const OptionField& field) {
  std::string fallback = field.Get(Options());
  if (field.name == "optimizer" || field.name == "lr") {
    fallback = "the trainer's";
  }
  if (fallback.empty()) return field.help;
  return absl::StrCat(field.help, " (default ", fallback, ")");
}

absl::Status AddSet(absl::string_view text, Options& options) {
  const size_t equals = text.find('=');
  if (equals == absl::string_view::npos || equals == 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--set: found \"", text, "\", expected KEY=VALUE, as in window=12"));
  }
  options.set[std::string(text.substr(0, equals))] =
      std::string(text.substr(equals + 1));
  options.given.insert("set");
  return absl::OkStatus();
}

}  // namespace

void AddFlags(CLI::App& app, Flags& flags,
              const std::vector<std::string>& without) {
  app.get_formatter()->column_width(32);
  for (const OptionField& field : OptionFields()) {
    if (std::find(without.begin(), without.end(), field.name) !=
        without.end()) {
      continue;
    }
    if (field.is_flag()) {
      app.add_flag("--" + field.name, flags.switches[field.name], field.help);
      continue;
    }
    app.add_option_function<std::string>(
           "--" + field.name,
           [&flags, name = field.name](const std::string& text) {
             flags.texts[name] = text;
           },
           Help(field))
        ->type_name(field.placeholder)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  }
  app.add_option("--set", flags.set,
                 "hyper-parameter of the trainer; may be repeated")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  app.add_option("--config", flags.config,
                 "the same keys in TOML, [set] for --set; flags win")
      ->type_name("FILE.toml")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  app.add_flag("--json", flags.json,
               "the last line on stdout is the summary as JSON");
}

absl::Status ReadFlags(CLI::App& app, int argc, const char* const* argv,
                       FileSystem& files, Flags& flags) {
  RETURN_IF_ERROR(ParseCommandLine(app, argc, argv, flags.help));
  if (!flags.help.empty()) return absl::OkStatus();
  if (app.count("--config") > 0) {
    RETURN_IF_ERROR(ReadConfigFile(flags.config, files, flags.options));
  }
  for (const auto& [name, text] : flags.switches) {
    if (!text.empty()) flags.texts[name] = text;
  }
  for (const auto& [name, text] : flags.texts) {
    const absl::Status status = FindOptionField(name)->Set(text, flags.options);
    if (!status.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--", name, ": ", status.message()));
    }
    flags.options.given.insert(name);
  }
  for (const std::string& text : flags.set) {
    RETURN_IF_ERROR(AddSet(text, flags.options));
  }
  return absl::OkStatus();
}

void PrintWarnings(const std::string& program, const Options& options) {
  for (const std::string& warning : WarningsOf(options)) {
    std::fprintf(stderr, "%s: warning: %s\n", program.c_str(), warning.c_str());
  }
}

}  // namespace monsoon
