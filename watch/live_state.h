// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

#include "base/process.h"
#include "watch/job_view.h"

namespace monsoon {

// What a page in the browser and Prometheus are told of: a run from before its
// job begins to its summary, or a server with one job after the other. A value.
struct LiveState {
  std::string program;                  // "monsoon train"
  std::shared_ptr<const JobView> view;  // null until a job has begun to learn
  // Of a server, whose jobs have no summary here; else of a run.
  bool is_server = false;
  // When so many seconds had passed, all workers together were that fast
  // (samples a second): over the whole job, thinned out.
  std::vector<std::pair<double, double>> rates;
  // Of the run, once it is over; else null.
  std::shared_ptr<const nlohmann::ordered_json> summary;
};

// In a word: "waiting" for a job, "running", "evaluating" what the workers have
// left, and then how it ended: "done", "diverged", "failed", "interrupted".
std::string StateOf(const LiveState& state);

// Bytes of the parameters that this server holds.
int64_t ParameterBytes(const ServerView& server);

// What /api/status says, as docs/watching.md has it field by field: one line
// without its end. What is not known, and numbers that are not finite, are
// null.
std::string StatusJson(const LiveState& state);

// What /metrics says: text of Prometheus, format 0.0.4. Numbers that are not
// known are left out.
std::string MetricsText(const LiveState& state, const ProcessInfo& process,
                        const ProcessUse& use);

}  // namespace monsoon
