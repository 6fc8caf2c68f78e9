// SPDX-License-Identifier: Apache-2.0
#include "cli/bench_plan.h"

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/random.h"
#include "base/status_macros.h"
#include "trainers/trainer.h"
#include "worker/option_fields.h"

namespace monsoon {
namespace {

constexpr char kWindow[] = "window";

// What the runs of one cell have of their own.
struct Cell {
  std::string model;
  std::string trainer;
  int batch_size = 1;
  std::string wire;
  int workers = 1;
  int servers = 1;
  int window = 0;  // 0: not chosen by the bench
};

// A folder name of what may be a model with a colon and commas.
std::string RunName(const BenchChoices& choices, const Options& options,
                    int window) {
  std::string name = absl::StrCat(options.model, "-", options.trainer, "-b",
                                  options.batch_size);
  if (choices.workers.size() > 1) absl::StrAppend(&name, "-w", options.workers);
  if (choices.servers.size() > 1) {
    absl::StrAppend(&name, "-servers", options.servers);
  }
  if (window > 0) absl::StrAppend(&name, "-", kWindow, window);
  absl::StrAppend(&name, "-s", options.seed,
                  options.wire == "fp32" ? "" : "-" + options.wire);
  std::replace_if(
      name.begin(), name.end(), [](char c) { return c == ':' || c == ','; },
      '-');
  return name;
}

absl::StatusOr<BenchRun> PlanRun(const BenchChoices& choices, const Cell& cell,
                                 int repeat) {
  Options options = choices.options;
  options.model = cell.model;
  options.trainer = cell.trainer;
  options.batch_size = cell.batch_size;
  options.wire = cell.wire;
  options.workers = cell.workers;
  options.servers = cell.servers;
  if (cell.window > 0) options.set[kWindow] = absl::StrCat(cell.window);
  options.seed += static_cast<uint64_t>(repeat);
  if (!choices.targets.empty()) options.time_to = choices.targets.back();
  // The workers of the bench are a default for those trainers that may have
  // them, where for `train` they are a demand.
  options.given.erase("workers");
  RETURN_IF_ERROR(ResolveOptions(options));
  std::string name = RunName(choices, options, cell.window);
  return BenchRun{std::move(name), std::move(options), cell.window};
}

// Of several values, those with which a run of the trainer can be; all where it
// can have none of them, so that the plan says why.
template <typename Value>
std::vector<Value> Possible(const BenchChoices& choices, const Cell& cell,
                            Value Cell::*member,
                            const std::vector<Value>& values) {
  std::vector<Value> possible;
  for (const Value& value : values) {
    Cell trial = cell;
    trial.*member = value;
    if (PlanRun(choices, trial, /*repeat=*/0).ok()) possible.push_back(value);
  }
  return possible.empty() ? values : possible;
}

// The values of the axes that a trainer has.
struct Axes {
  std::vector<std::string> wires;
  std::vector<int> workers, servers, windows;
};

absl::StatusOr<Axes> AxesOf(const BenchChoices& choices,
                            const std::string& trainer) {
  Axes axes = {choices.wires, choices.workers, choices.servers, {0}};
  ASSIGN_OR_RETURN(const MadeTrainer made,
                   MakeTrainer(trainer, choices.options.set,
                               {.workers = choices.workers.front(),
                                .seed = choices.options.seed}));
  const Traits traits = made.trainer->traits();
  if (traits.max_workers == 1) axes.workers = {1};
  const bool has_window = made.resolved.contains(kWindow);
  if (has_window && !choices.windows.empty()) axes.windows = choices.windows;
  Cell cell = {.model = choices.models.front(),
               .trainer = trainer,
               .wire = choices.wires.front(),
               .workers = axes.workers.front(),
               .servers = choices.servers.front()};
  axes.servers = Possible(choices, cell, &Cell::servers, choices.servers);
  const bool exchanges =
      traits.pushes != Payload::kNone || traits.replies != Payload::kNone;
  if (!exchanges) axes.servers.resize(1);
  cell.servers = axes.servers.front();
  axes.wires = Possible(choices, cell, &Cell::wire, choices.wires);
  return axes;
}

// Calls `visit` for each cell of a trainer with a model.
absl::Status VisitCells(const BenchChoices& choices, const std::string& model,
                        const std::string& trainer,
                        const std::function<absl::Status(const Cell&)>& visit) {
  ASSIGN_OR_RETURN(const Axes axes, AxesOf(choices, trainer));
  Cell cell = {.model = model, .trainer = trainer};
  for (const int batch_size : choices.batch_sizes) {
    cell.batch_size = batch_size;
    for (const std::string& wire : axes.wires) {
      cell.wire = wire;
      for (const int workers : axes.workers) {
        cell.workers = workers;
        for (const int servers : axes.servers) {
          cell.servers = servers;
          for (const int window : axes.windows) {
            cell.window = window;
            RETURN_IF_ERROR(visit(cell));
          }
        }
      }
    }
  }
  return absl::OkStatus();
}

nlohmann::ordered_json Typed(const std::string& text) {
  // A text that is no JSON is discarded, without an exception.
  const auto value = nlohmann::ordered_json::parse(text, nullptr, false);
  const bool is_typed = value.is_number() || value.is_boolean();
  return is_typed ? value : nlohmann::ordered_json(text);
}

// One value is written as itself, as benches have it that know but one.
template <typename Value>
nlohmann::ordered_json OneOrList(const std::vector<Value>& values) {
  if (values.size() == 1) return values.front();
  return values;
}

}  // namespace

absl::StatusOr<std::vector<BenchRun>> PlanRuns(const BenchChoices& choices) {
  if (!choices.windows.empty() && choices.options.set.contains(kWindow)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--set window=", choices.options.set.at(kWindow),
        ": found with --windows, expected one of them; leave --set window out, "
        "or name it in --windows"));
  }
  std::vector<BenchRun> runs;
  for (const std::string& model : choices.models) {
    for (const std::string& trainer : choices.trainers) {
      RETURN_IF_ERROR(
          VisitCells(choices, model, trainer, [&](const Cell& cell) {
            for (int repeat = 0; repeat < choices.repeat; ++repeat) {
              ASSIGN_OR_RETURN(BenchRun run, PlanRun(choices, cell, repeat));
              runs.push_back(std::move(run));
            }
            return absl::OkStatus();
          }));
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
  matrix["wire"] = OneOrList(choices.wires);
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
  matrix["workers"] = OneOrList(choices.workers);
  matrix["servers"] = OneOrList(choices.servers);
  if (!choices.windows.empty()) matrix["windows"] = OneOrList(choices.windows);
  matrix["hyper"] = choices.options.set;
  return matrix;
}

bool IsOfCell(const BenchRow& row, const BenchRun& run) {
  return row.model == run.options.model && row.trainer == run.options.trainer &&
         row.batch_size == run.options.batch_size &&
         row.wire == run.options.wire && row.workers == run.options.workers &&
         (row.servers == 0 || row.servers == run.options.servers) &&
         (run.window == 0 || row.window == run.window);
}

bool IsResultOf(const BenchRow& row, const BenchRun& run) {
  return IsOfCell(row, run) && row.seed == run.options.seed;
}

}  // namespace monsoon
