// SPDX-License-Identifier: Apache-2.0
#include "worker/finish.h"

#include <csignal>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>

#include "absl/strings/str_cat.h"
#include "base/command_line.h"
#include "base/status_macros.h"
#include "data/dataset.h"
#include "worker/evaluate.h"
#include "worker/summary.h"

namespace monsoon {
namespace {

void Print(std::FILE* out, const std::string& line) {
  std::fprintf(out, "%s\n", line.c_str());
  std::fflush(out);
}

// The job cannot be what was asked for; nothing has run.
bool NeverBegan(const absl::Status& status) {
  return ExitCode(status) == 2 || ExitCode(status) == 3;
}

bool IsInterruption(const absl::Status& status, int stop_signal) {
  return absl::IsCancelled(status) && stop_signal != 0;
}

// What is known of a run on the test data.
struct Tested {
  std::optional<Evaluation> result;
  std::vector<CurvePoint> curve;  // ends with the result, or where it is enough
};

absl::StatusOr<Tested> EvaluateOnTest(const JobOutcome& outcome,
                                      FileSystem& files) {
  const Options& options = outcome.options;
  ASSIGN_OR_RETURN(const Dataset test,
                   LoadDataset(options.data, Split::kTest, files));
  Tested tested;
  ASSIGN_OR_RETURN(tested.result,
                   Evaluate(options.model, test, outcome.members));
  ASSIGN_OR_RETURN(tested.curve,
                   EvaluateCurve(options.model, test, outcome.snapshots,
                                 // Who chose the points gets all of them.
                                 options.eval_every > 0 ? 0 : options.time_to));
  int64_t samples = outcome.status.samples_applied();
  if (samples == 0) {  // in one memory no server counts them
    for (const pb::Member& member : outcome.status.members()) {
      samples += member.report().samples();
    }
  }
  const bool is_asked =
      SnapshotEvery(options.eval_every, options.time_to, samples) > 0;
  if (is_asked && tested.curve.size() == outcome.snapshots.size()) {
    tested.curve.push_back(
        {outcome.status.elapsed_s(), samples, tested.result->accuracy});
  }
  return tested;
}

// The memory of the servers beside the first, whose status is the outcome's.
std::vector<pb::JobStatus> AskOthers(const Ending& ending) {
  std::vector<pb::JobStatus> statuses;
  for (size_t i = 1; i < ending.servers.size(); ++i) {
    pb::JobStatus status;
    // A server that has gone since has no memory to count.
    if (ending.servers[i]->GetJob({}, status).ok()) statuses.push_back(status);
  }
  return statuses;
}

void PrintSummary(const nlohmann::ordered_json& summary, bool json,
                  const RunFolder& folder) {
  std::FILE* const people = json ? stderr : stdout;
  Print(people, DescribeSummary(summary));
  if (folder.made()) Print(people, absl::StrCat("run folder: ", folder.path()));
  if (json) Print(stdout, summary.dump());
}

int EndWithout(const Ending& ending, RunFolder& folder) {
  const absl::Status& status = ending.outcome.status();
  const bool interrupted = IsInterruption(status, ending.stop_signal);
  const int code = FailOrStop(ending.program, status, ending.stop_signal);
  if (NeverBegan(status)) return code;
  JobOutcome nothing;
  nothing.options = ending.options;
  const nlohmann::ordered_json summary = Summarize(
      {.outcome = nothing,
       .state = interrupted ? RunState::kInterrupted : RunState::kFailed});
  if (folder.made()) {
    const absl::Status written = folder.WriteSummary(summary.dump());
    if (!written.ok()) Fail(ending.program, written);
  }
  if (ending.tell) ending.tell({.summary = summary, .folder = folder.path()});
  PrintSummary(summary, ending.json, folder);
  return code;
}

int CodeOf(RunState state, int stop_signal) {
  if (state == RunState::kDone) return 0;
  if (state != RunState::kInterrupted) return 1;
  return 128 + (stop_signal != 0 ? stop_signal : SIGTERM);
}

// Writes what the job has come to and returns its summary.
absl::StatusOr<nlohmann::ordered_json> Keep(const Ending& ending,
                                            RunState state, RunFolder& folder,
                                            FileSystem& files) {
  const JobOutcome& outcome = *ending.outcome;
  RETURN_IF_ERROR(
      folder.WriteModel(outcome.options, outcome.layout, outcome.members));
  Tested tested;
  // Who interrupts a run wants an end; `monsoon evaluate` can still tell.
  if (state != RunState::kInterrupted) {
    ASSIGN_OR_RETURN(tested, EvaluateOnTest(outcome, files));
  }
  nlohmann::ordered_json summary =
      Summarize({.outcome = outcome,
                 .state = state,
                 .test = tested.result.has_value() ? &*tested.result : nullptr,
                 .curve = tested.curve,
                 .servers = AskOthers(ending)});
  RETURN_IF_ERROR(folder.WriteSummary(summary.dump()));
  if (ending.tell) {
    ending.tell({.summary = summary,
                 .folder = folder.path(),
                 .layout = &outcome.layout,
                 .members = outcome.members});
  }
  return summary;
}

}  // namespace

int FailOrStop(const std::string& program, const absl::Status& status,
               int stop_signal) {
  const int failed = Fail(program, status);
  return IsInterruption(status, stop_signal) ? 128 + stop_signal : failed;
}

int Finish(const Ending& ending, RunFolder& folder, FileSystem& files) {
  if (!ending.outcome.ok()) return EndWithout(ending, folder);
  const pb::JobStatus& status = ending.outcome->status;
  const RunState state = StateOf(status);
  if (state != RunState::kDone) {
    Print(stderr, absl::StrCat(ending.program, ": ", StateName(state), ": ",
                               status.stop()));
  }
  const auto summary = Keep(ending, state, folder, files);
  if (!summary.ok()) return Fail(ending.program, summary.status());
  PrintSummary(*summary, ending.json, folder);
  return CodeOf(state, ending.stop_signal);
}

}  // namespace monsoon
