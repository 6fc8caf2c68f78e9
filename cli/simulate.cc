// SPDX-License-Identifier: Apache-2.0
//
// monsoon simulate: a job on a cluster of any size, on virtual time.
#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/clock.h"
#include "base/command_line.h"
#include "base/filesystem.h"
#include "base/status_macros.h"
#include "base/stop_signal.h"
#include "cli/command.h"
#include "data/dataset.h"
#include "sim/cluster.h"
#include "sim/gradients.h"
#include "sim/report.h"
#include "worker/curve.h"
#include "worker/evaluate.h"
#include "worker/flags.h"
#include "worker/run_folder.h"
#include "worker/summary.h"

namespace monsoon {
namespace {

constexpr char kProgram[] = "monsoon simulate";

struct Settings {
  Flags flags;
  SimulationSpec spec;
};

// One flag of the simulator: how it reads its text.
struct SimulatorFlag {
  std::string name, placeholder, help;
  std::function<absl::Status(const std::string&)> read;
};

template <typename Value, typename Parse>
auto Into(Value& place, Parse parse) {
  return [&place, parse](const std::string& text) -> absl::Status {
    ASSIGN_OR_RETURN(place, parse(text));
    return absl::OkStatus();
  };
}

std::vector<SimulatorFlag> SimulatorFlags(Settings& settings) {
  SimulationSpec& spec = settings.spec;
  return {
      {"compute", "TIME",
       "time of a step of a whole batch: 20ms, lognormal:MEDIAN:SIGMA or "
       "uniform:A:B (default 20ms)",
       Into(spec.compute, StepTime::Parse)},
      {"network", "RATE:LATENCY",
       "port of every worker and server, in each direction (default "
       "10gbit:100us)",
       Into(spec.network, NetworkSpec::Parse)},
      {"server-rate", "RATE",
       "bytes that a server's one core takes in or copies in a second, as in "
       "4gbyte (default none, no limit)",
       Into(spec.server_rate, Rate::Parse)},
      {"stragglers", "FRACTION:FACTORx",
       "so many of the workers take FACTOR times as long (default 0:1x)",
       Into(spec.stragglers, Stragglers::Parse)},
      {"crash", "P/epoch",
       "crashes of a worker in an epoch of its own, on average (default "
       "0/epoch)",
       Into(spec.crash, CrashRate::Parse)},
      {"restart", "TIME", "from a crash until the worker is back (default 10s)",
       Into(spec.restart, ParseTime)},
      {"gradients", "KIND",
       "real, or of a toy for speed: quadratic, quadratic:PARAMETERS (default "
       "real)",
       Into(spec.gradients, GradientKind::Parse)},
  };
}

absl::Status Refuse(absl::string_view flag, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("--", flag, ": ", why));
}

absl::Status Read(int argc, const char* const* argv, Settings& settings) {
  Flags& flags = settings.flags;
  CLI::App app(
      "Simulates a training job on a cluster of any size, on virtual time.",
      kProgram);
  AddFlags(app, flags);
  const std::vector<SimulatorFlag> own = SimulatorFlags(settings);
  std::map<std::string, std::string> texts;
  for (const SimulatorFlag& flag : own) {
    app.add_option_function<std::string>(
           "--" + flag.name,
           [&texts, name = flag.name](const std::string& text) {
             texts[name] = text;
           },
           flag.help)
        ->type_name(flag.placeholder)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  }
  RETURN_IF_ERROR(ReadFlags(app, argc, argv, RealFileSystem(), flags));
  if (!flags.help.empty()) return absl::OkStatus();
  for (const SimulatorFlag& flag : own) {
    const auto it = texts.find(flag.name);
    if (it == texts.end()) continue;
    const absl::Status status = flag.read(it->second);
    if (!status.ok()) return Refuse(flag.name, status.message());
  }
  if (flags.options.device == "auto") flags.options.device = "cpu";
  if (flags.options.device != "cpu") {
    return Refuse("device", absl::StrCat("found \"", flags.options.device,
                                         "\", the simulator's workers compute "
                                         "on the processor; use cpu"));
  }
  if (flags.options.server_device != "cpu" &&
      flags.options.server_device != "auto") {
    return Refuse("server-device",
                  absl::StrCat("found \"", flags.options.server_device,
                               "\", the simulator's servers keep parameters in "
                               "the host's memory; use cpu"));
  }
  RETURN_IF_ERROR(ResolveOptions(flags.options));
  RETURN_IF_ERROR(CheckSeparateProcesses(flags.options));
  PrintWarnings(kProgram, flags.options);
  if (flags.options.transport != "auto") {
    return Refuse("transport",
                  absl::StrCat("found \"", flags.options.transport,
                               "\", expected none: the network is simulated; "
                               "leave it out and see --network"));
  }
  if (flags.options.overlap) {
    return Refuse("overlap",
                  "found it, expected it left out: the simulator has no "
                  "exchanges beside the computation yet");
  }
  const bool has_target = flags.options.time_to > 0;
  if ((has_target || flags.options.eval_every > 0) &&
      settings.spec.gradients.is_quadratic) {
    return Refuse(has_target ? "time-to" : "eval-every",
                  "needs test data, found --gradients quadratic, which has "
                  "none; use --gradients real");
  }
  return absl::OkStatus();
}

void Print(std::FILE* out, const std::string& line) {
  std::fprintf(out, "%s\n", line.c_str());
  std::fflush(out);
}

absl::StatusOr<std::optional<Evaluation>> EvaluateResult(
    const SimulationInputs& inputs, const Dataset& test, RunState state,
    Simulation& simulation) {
  if (state == RunState::kInterrupted) return std::nullopt;
  const std::vector<Flat>& members = simulation.outcome.members;
  if (inputs.spec.gradients.is_quadratic) {
    return Evaluation{.loss = QuadraticSource::Value(members.front()),
                      .accuracy = std::numeric_limits<double>::quiet_NaN()};
  }
  ASSIGN_OR_RETURN(const Evaluation found,
                   Evaluate(inputs.options.model, test, members));
  // The curve ends where the run does.
  if (SnapshotEvery(inputs.options.eval_every, inputs.options.time_to,
                    simulation.samples_applied) > 0) {
    simulation.curve.push_back({simulation.outcome.status.elapsed_s(),
                                simulation.samples_applied, found.accuracy});
  }
  return found;
}

int CodeOf(RunState state, int signal) {
  if (state == RunState::kDone) return 0;
  if (state != RunState::kInterrupted) return 1;
  return 128 + (signal != 0 ? signal : SIGTERM);
}

absl::StatusOr<int> Run(Settings& settings) {
  const Options& options = settings.flags.options;
  FileSystem& files = RealFileSystem();
  const std::atomic<int>& stop = CatchStopSignals();
  const absl::Time begin = RealClock().Now();
  std::optional<RunFolder> folder;
  if (!options.out.empty()) {
    ASSIGN_OR_RETURN(folder, RunFolder::Plan(options, files, absl::Now(), 0));
  }
  ASSIGN_OR_RETURN(const Dataset train,
                   LoadDataset(options.data, Split::kTrain, files));
  ASSIGN_OR_RETURN(const Dataset test,
                   LoadDataset(options.data, Split::kTest, files));
  const SimulationInputs inputs{.options = options,
                                .spec = settings.spec,
                                .train = train,
                                .test = &test,
                                .stop = stop};
  ASSIGN_OR_RETURN(Simulation simulation, Simulate(inputs));
  const RunState state = StateOf(simulation.outcome.status);
  if (state != RunState::kDone) {
    Print(stderr, absl::StrCat(kProgram, ": ", StateName(state), ": ",
                               simulation.outcome.status.stop()));
  }
  ASSIGN_OR_RETURN(const std::optional<Evaluation> found,
                   EvaluateResult(inputs, test, state, simulation));
  const nlohmann::ordered_json summary = SummarizeSimulation(
      inputs, simulation, state, found.has_value() ? &*found : nullptr);
  if (folder.has_value()) {
    const JobOutcome& outcome = simulation.outcome;
    RETURN_IF_ERROR(
        folder->WriteModel(options, outcome.layout, outcome.members));
    RETURN_IF_ERROR(folder->WriteSummary(summary.dump()));
  }
  std::FILE* const people = settings.flags.json ? stderr : stdout;
  Print(people, DescribeSimulation(summary));
  if (folder.has_value()) {
    Print(people, absl::StrCat("run folder: ", folder->path()));
  }
  const double wall_s = absl::ToDoubleSeconds(RealClock().Now() - begin);
  Print(stderr, absl::StrFormat("%s: %.3f virtual seconds in %.1f real ones",
                                kProgram, simulation.virtual_s, wall_s));
  if (settings.flags.json) Print(stdout, summary.dump());
  return CodeOf(state, stop.load());
}

int RunSimulate(int argc, const char* const* argv) {
  return RunCommand(kProgram, argc, argv, Read, Run);
}

const RegisterCommand kSimulate(
    "simulate", {.help = "train on a cluster of any size, on virtual time",
                 .run = RunSimulate});

}  // namespace
}  // namespace monsoon
