// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "worker/evaluate.h"
#include "worker/run_worker.h"

namespace monsoon {

enum class RunState { kDone, kDiverged, kInterrupted, kFailed };

// How a job ended: as the first worker that did not get to its end said. A
// worker without a last word has failed.
RunState StateOf(const pb::JobStatus& status);
// "done", "diverged", "interrupted", "failed"
std::string StateName(RunState state);

struct SummaryInputs {
  const JobOutcome& outcome;
  RunState state = RunState::kDone;
  const Evaluation* test = nullptr;  // null: not evaluated
  absl::Span<const CurvePoint> curve = {};
  // Of the other servers at the end, for their memory and shards.
  std::vector<pb::JobStatus> servers = {};
};

// The one JSON object of a run, whose names and order are an interface: sums
// over the workers; startup_s is of the slowest; peak_rss_bytes counts every
// process once; staleness is over pushes of shards, null for a trainer that
// pushes nothing; time_to is when the curve reaches the accuracy asked for, the
// curve's points are [elapsed_s, samples, accuracy]. What is not a finite
// number is null.
nlohmann::ordered_json Summarize(const SummaryInputs& inputs);

// The same for people: a paragraph without a newline at the end.
std::string DescribeSummary(const nlohmann::ordered_json& summary);

}  // namespace monsoon
