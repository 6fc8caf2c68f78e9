// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "base/clock.h"
#include "base/event.h"
#include "transport/server_calls.h"
#include "watch/job_view.h"
#include "watch/observer.h"

namespace monsoon {

// Asks the servers how a job is, and tells the observers. On a thread of its
// own from the start until it is stopped; a server without the job yet is asked
// again. Servers, clock and observers outlive it.
class Watcher {
 public:
  // The id 0 stands for whatever job server 0 has.
  Watcher(std::vector<ServerCalls*> servers, uint64_t job_id, Clock& clock,
          std::vector<Observer*> observers);
  // Stops.
  ~Watcher() { Stop(); }
  // Tells the last state, and ends the thread. Idempotent.
  void Stop();

 private:
  void Run();
  // Asks the servers that are due, and tells the observers.
  void Look(bool is_last);
  // Who does not answer soon is left alone for a while.
  void Ask(size_t index);

  const std::vector<ServerCalls*> servers_;
  const uint64_t job_id_;
  Clock& clock_;
  const std::vector<Observer*> observers_;
  const std::unique_ptr<Event> stop_;
  // Of the watcher's thread.
  JobViewer viewer_;
  absl::Time next_others_ = absl::InfinitePast();
  std::vector<absl::Time> not_before_;  // by server
  std::thread thread_;
};

}  // namespace monsoon
