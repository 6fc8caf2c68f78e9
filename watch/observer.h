// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "absl/types/span.h"
#include "base/flat.h"
#include "base/layout.h"
#include "watch/job_view.h"

namespace monsoon {

// What is known of a run when it is over.
struct RunEnd {
  // The one JSON object of the run (worker/summary.h).
  const nlohmann::ordered_json& summary;
  std::string folder;  // of the run; empty: nothing was written
  // What was evaluated and saved, in the process that has it; else null.
  const ParameterLayout* layout = nullptr;
  absl::Span<const Flat> members = {};
};

// Says to the person who has started the run what went wrong with watching it:
// a sentence without a newline, which stands above a panel where there is one.
// On any thread.
using Warn = std::function<void(const std::string&)>;

// Somebody who watches a run: a terminal, a page, a file, another service. It
// may never fail or stall the run: what goes wrong it says itself, once, and
// what takes its time it does on a thread of its own.
class Observer {
 public:
  virtual ~Observer() = default;
  // Ten times a second from when the job has begun to learn, and a last time
  // when the workers have ended. On the watcher's thread.
  virtual void See(const JobView& view, bool is_last) = 0;
  // Once, when result and summary are there; after the last See, if there was
  // any. On the thread that owns the run.
  virtual void End(const RunEnd&) {}
};

}  // namespace monsoon
