// SPDX-License-Identifier: Apache-2.0
#include "cli/bench_plan.h"

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "base/random.h"
#include "base/spelling.h"
#include "base/status_macros.h"
#include "trainers/wire.h"
#include "worker/option_fields.h"

namespace monsoon {
namespace {

absl::Status Bad(absl::string_view flag, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("--", flag, ": ", what));
}

bool IsNumber(absl::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return std::isdigit(static_cast<unsigned char>(c)) != 0;
  });
}

absl::Status CheckOnce(absl::string_view flag, absl::string_view text,
                       const std::vector<std::string>& items) {
  for (auto item = items.begin(); item != items.end(); ++item) {
    if (std::find(items.begin(), item, *item) != item) {
      return Bad(flag, absl::StrCat("\"", *item, "\" comes twice in \"", text,
                                    "\"; give it once"));
    }
  }
  return absl::OkStatus();
}

// The items between the commas: none empty, none twice.
absl::StatusOr<std::vector<std::string>> SplitList(absl::string_view flag,
                                                   absl::string_view text) {
  std::vector<std::string> items;
  for (const absl::string_view item : absl::StrSplit(text, ',')) {
    if (item.empty()) {
      return Bad(flag, absl::StrCat("found \"", text,
                                    "\", expected items with one comma "
                                    "between them and none empty"));
    }
    const bool continues = IsNumber(item) && !items.empty() &&
                           items.back().find(':') != std::string::npos;
    if (continues) {
      absl::StrAppend(&items.back(), ",", item);
    } else {
      items.emplace_back(item);
    }
  }
  RETURN_IF_ERROR(CheckOnce(flag, text, items));
  return items;
}

// A folder name of what may be a model with a colon and commas.
std::string RunName(const Options& options) {
  std::string name = absl::StrCat(
      options.model, "-", options.trainer, "-b", options.batch_size, "-s",
      options.seed, options.wire == "fp32" ? "" : "-" + options.wire);
  std::replace_if(
      name.begin(), name.end(), [](char c) { return c == ':' || c == ','; },
      '-');
  return name;
}

absl::StatusOr<BenchRun> PlanRun(const BenchChoices& choices,
                                 const std::string& model,
                                 const std::string& trainer, int batch_size,
                                 const std::string& wire, int repeat) {
  Options options = choices.options;
  options.model = model;
  options.trainer = trainer;
  options.batch_size = batch_size;
  options.wire = wire;
  options.seed += static_cast<uint64_t>(repeat);
  if (!choices.targets.empty()) options.time_to = choices.targets.back();
  // The workers of the bench are a default for those trainers that may have
  // them, where for `train` they are a demand.
  options.given.erase("workers");
  RETURN_IF_ERROR(ResolveOptions(options));
  return BenchRun{RunName(options), std::move(options)};
}

// Of several codes, those that the trainer can have; all where it can have none
// of them, so that the plan says why.
std::vector<std::string> WiresOf(const BenchChoices& choices,
                                 const std::string& trainer) {
  std::vector<std::string> legal;
  for (const std::string& wire : choices.wires) {
    const auto run =
        PlanRun(choices, choices.models[0], trainer, 1, wire, /*repeat=*/0);
    if (run.ok()) legal.push_back(wire);
  }
  return legal.empty() ? choices.wires : legal;
}

nlohmann::ordered_json Typed(const std::string& text) {
  // A text that is no JSON is discarded, without an exception.
  const auto value = nlohmann::ordered_json::parse(text, nullptr, false);
  const bool is_typed = value.is_number() || value.is_boolean();
  return is_typed ? value : nlohmann::ordered_json(text);
}

}  // namespace

absl::StatusOr<std::vector<std::string>> ParseNames(
    absl::string_view flag, absl::string_view kind, absl::string_view text,
    const std::vector<std::string>& accepted) {
  ASSIGN_OR_RETURN(std::vector<std::string> items, SplitList(flag, text));
  for (const std::string& item : items) {
    const std::string name = item.substr(0, item.find(':'));
    if (std::find(accepted.begin(), accepted.end(), name) == accepted.end()) {
      return Bad(flag, UnknownName(kind, name, accepted));
    }
  }
  return items;
}

absl::StatusOr<std::vector<std::string>> ParseWires(absl::string_view flag,
                                                    absl::string_view text) {
  ASSIGN_OR_RETURN(std::vector<std::string> items, SplitList(flag, text));
  for (std::string& item : items) {
    const absl::StatusOr<WireNames> wire =
        ParseWire(absl::StrReplaceAll(item, {{"/", ","}}));
    if (!wire.ok()) return Bad(flag, wire.status().message());
    item = wire->text();
  }
  RETURN_IF_ERROR(CheckOnce(flag, text, items));
  return items;
}

absl::StatusOr<std::vector<int>> ParseCounts(absl::string_view flag,
                                             absl::string_view text) {
  ASSIGN_OR_RETURN(const std::vector<std::string> items, SplitList(flag, text));
  std::vector<int> counts;
  for (const std::string& item : items) {
    int count = 0;
    if (!IsNumber(item) || !absl::SimpleAtoi(item, &count) || count < 1) {
      return Bad(flag, absl::StrCat("found \"", item,
                                    "\", expected whole numbers, at least 1"));
    }
    if (std::find(counts.begin(), counts.end(), count) != counts.end()) {
      return Bad(flag, absl::StrCat(count, " comes twice in \"", text,
                                    "\"; give it once"));
    }
    counts.push_back(count);
  }
  return counts;
}

absl::StatusOr<std::vector<double>> ParseAccuracies(absl::string_view flag,
                                                    absl::string_view text) {
  ASSIGN_OR_RETURN(const std::vector<std::string> items, SplitList(flag, text));
  std::vector<double> accuracies;
  for (const std::string& item : items) {
    double accuracy = 0;
    if (!absl::SimpleAtod(item, &accuracy) || !(accuracy > 0) ||
        !(accuracy <= 1)) {
      return Bad(flag, absl::StrCat("found \"", item,
                                    "\", expected accuracies above 0, at most "
                                    "1, as in 0.85,0.88"));
    }
    if (std::find(accuracies.begin(), accuracies.end(), accuracy) !=
        accuracies.end()) {
      return Bad(flag, absl::StrCat(accuracy, " comes twice in \"", text,
                                    "\"; give it once"));
    }
    accuracies.push_back(accuracy);
  }
  std::sort(accuracies.begin(), accuracies.end());
  return accuracies;
}

absl::StatusOr<std::vector<BenchRun>> PlanRuns(const BenchChoices& choices) {
  std::vector<BenchRun> runs;
  for (const std::string& model : choices.models) {
    for (const std::string& trainer : choices.trainers) {
      for (const int batch_size : choices.batch_sizes) {
        for (const std::string& wire : WiresOf(choices, trainer)) {
          for (int repeat = 0; repeat < choices.repeat; ++repeat) {
            ASSIGN_OR_RETURN(BenchRun run, PlanRun(choices, model, trainer,
                                                   batch_size, wire, repeat));
            runs.push_back(std::move(run));
          }
        }
      }
    }
  }
  std::vector<int64_t> order(runs.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int64_t>(i);
  Random({choices.options.seed, Random::kPlan}).Shuffle(order);
  std::vector<BenchRun> shuffled;
  for (const int64_t i : order) shuffled.push_back(std::move(runs[i]));
  return shuffled;
}

nlohmann::ordered_json MatrixJson(const BenchChoices& choices) {
  nlohmann::ordered_json matrix;
  matrix["models"] = choices.models;
  matrix["trainers"] = choices.trainers;
  matrix["batches"] = choices.batch_sizes;
  if (choices.wires.size() == 1) {
    matrix["wire"] = choices.wires[0];
  } else {
    matrix["wire"] = choices.wires;
  }
  matrix["repeat"] = choices.repeat;
  if (!choices.targets.empty()) matrix["time_to"] = choices.targets;
  for (const OptionField& field : OptionFields()) {
    const std::string& name = field.name;
    if (name == "model" || name == "trainer" || name == "batch-size" ||
        name == "wire" || name == "out" || name == "connect-timeout" ||
        name == "time-to") {
      continue;
    }
    // Those of the trainers, where nobody has chosen.
    const bool unset = (name == "optimizer" || name == "lr") &&
                       !choices.options.given.contains(name);
    matrix[field.key()] =
        unset ? nlohmann::ordered_json() : Typed(field.Get(choices.options));
  }
  matrix["hyper"] = choices.options.set;
  return matrix;
}

bool IsResultOf(const BenchRow& row, const BenchRun& run) {
  return row.model == run.options.model && row.trainer == run.options.trainer &&
         row.batch_size == run.options.batch_size &&
         row.wire == run.options.wire && row.workers == run.options.workers &&
         row.seed == run.options.seed;
}

}  // namespace monsoon
