// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "base/clock.h"
#include "base/event.h"
#include "proto/monsoon.pb.h"
#include "transport/server_calls.h"

namespace monsoon {

// Tells servers again and again that a worker lives, on a thread of its own:
// so a training step may take any time. Answers and errors are nobody's here;
// the worker's own calls meet them.
class Heartbeat {
 public:
  // `who` names job, worker and incarnation, and has no report. The servers and
  // the clock outlive the heartbeat. The first one is sent after `every`.
  Heartbeat(std::vector<ServerCalls*> servers, pb::ReportRequest who,
            absl::Duration every, Clock& clock);
  // Ends the thread; waits for the call in flight.
  ~Heartbeat();

 private:
  void Run();

  const std::vector<ServerCalls*> servers_;
  const pb::ReportRequest who_;
  const absl::Duration every_;
  Clock& clock_;
  const std::unique_ptr<Event> stop_;
  std::thread thread_;
};

}  // namespace monsoon
