// SPDX-License-Identifier: Apache-2.0
//
// monsoon trainers [NAME]: the family, for people and as JSON.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/command_line.h"
#include "base/status_macros.h"
#include "cli/command.h"
#include "trainers/trainer.h"
#include "worker/option_fields.h"

namespace monsoon {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kProgram[] = "monsoon trainers";

struct Described {
  std::string name;
  const TrainerEntry& entry;
  Traits traits;
  std::vector<Hyperparameters::Declared> hyper;
};

// With the hyper-parameters that `name` has with the default workers.
absl::StatusOr<Described> Describe(const std::string& name) {
  ASSIGN_OR_RETURN(const TrainerEntry* entry, FindTrainer(name));
  const Options defaults;
  const JobFacts facts{.workers = defaults.workers,
                       .seed = defaults.seed,
                       .lr = entry->lr,
                       .optimizer = entry->optimizer};
  ASSIGN_OR_RETURN(MadeTrainer made, MakeTrainer(name, {}, facts));
  return Described{name, *entry, made.trainer->traits(), std::move(made.hyper)};
}

std::string WorkersText(const Traits& traits) {
  if (traits.max_workers == 1) return "one worker";
  if (traits.maps_center) return "workers in one process";
  return absl::StrCat(traits.min_workers, " or more workers");
}

std::string StepText(const Traits& traits) {
  switch (traits.local_step) {
    case LocalStep::kAny:
      return "local steps of any optimizer";
    case LocalStep::kPlain:
      return "local steps of sgd";
    case LocalStep::kNone:
      return "no local steps";
  }
  return "";
}

std::string ToText(const Described& d) {
  std::string text = absl::StrFormat(
      "%s: %s\n  equation   %s\n  source     %s\n"
      "  optimizer  %s, lr %s\n"
      "  traits     pushes %s, is answered %s, %s, result is %s, %s, %s\n",
      d.name, d.entry.title, d.entry.equation, d.entry.source,
      d.entry.optimizer, ShortestDecimal(AsWritten(d.entry.lr)),
      PayloadName(d.traits.pushes), PayloadName(d.traits.replies),
      d.traits.synchronous ? "synchronous" : "asynchronous",
      d.traits.result == Result::kCenter ? "the center" : "the replicas",
      StepText(d.traits), WorkersText(d.traits));
  for (const Hyperparameters::Declared& hyper : d.hyper) {
    absl::StrAppend(&text, "  --set ", hyper.key, "=", hyper.fallback, "  ",
                    hyper.help, " (", hyper.type, ": ", hyper.accepted, ")\n");
  }
  return text;
}

Json ToJson(const Described& d) {
  Json json;
  json["trainer"] = d.name;
  json["title"] = d.entry.title;
  json["equation"] = d.entry.equation;
  json["source"] = d.entry.source;
  json["optimizer"] = d.entry.optimizer;
  json["lr"] = AsWritten(d.entry.lr);
  json["pushes"] = PayloadName(d.traits.pushes);
  json["replies"] = PayloadName(d.traits.replies);
  json["synchronous"] = d.traits.synchronous;
  json["local_step"] = d.traits.local_step == LocalStep::kAny     ? "any"
                       : d.traits.local_step == LocalStep::kPlain ? "plain"
                                                                  : "none";
  json["result"] = d.traits.result == Result::kCenter ? "center" : "replicas";
  json["one_process"] = d.traits.maps_center;
  json["min_workers"] = d.traits.min_workers;
  json["max_workers"] = d.traits.max_workers == Traits().max_workers
                            ? Json(nullptr)
                            : Json(d.traits.max_workers);
  json["hyper"] = Json::array();
  for (const Hyperparameters::Declared& hyper : d.hyper) {
    json["hyper"].push_back({{"key", hyper.key},
                             {"type", hyper.type},
                             {"default", hyper.fallback},
                             {"accepted", hyper.accepted},
                             {"help", hyper.help}});
  }
  return json;
}

absl::Status Print(const std::vector<std::string>& names, bool json) {
  Json all = Json::array();
  std::string text;
  for (const std::string& name : names) {
    ASSIGN_OR_RETURN(const Described described, Describe(name));
    if (json) {
      all.push_back(ToJson(described));
    } else {
      absl::StrAppend(&text, text.empty() ? "" : "\n", ToText(described));
    }
  }
  if (json) text = all.dump() + "\n";
  std::fputs(text.c_str(), stdout);
  return absl::OkStatus();
}

struct Arguments {
  std::string name;  // empty: all
  bool json = false;
  std::string help;
};

absl::Status Read(int argc, const char* const* argv, Arguments& arguments) {
  CLI::App app("The trainers that this build has.", kProgram);
  app.add_option("NAME", arguments.name, "one of them; else all");
  app.add_flag("--json", arguments.json, "as one line of JSON");
  return ParseCommandLine(app, argc, argv, arguments.help);
}

absl::StatusOr<int> List(const Arguments& arguments) {
  const std::vector<std::string> names =
      arguments.name.empty() ? TrainerNames()
                             : std::vector<std::string>{arguments.name};
  RETURN_IF_ERROR(Print(names, arguments.json));
  return 0;
}

int RunTrainers(int argc, const char* const* argv) {
  return RunCommand(kProgram, argc, argv, Read, List);
}

const RegisterCommand kTrainers(
    "trainers",
    {.help = "the trainers: equation, source, hyper-parameters, defaults",
     .run = RunTrainers});

}  // namespace
}  // namespace monsoon
