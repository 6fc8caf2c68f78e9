// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/event.h"
#include "transport/server_calls.h"

namespace monsoon {

// How far a job is, over all workers.
struct ProgressSample {
  std::string trainer;
  int64_t samples = 0;
  int64_t total = 0;  // samples of the whole job
  int64_t epoch = 0;  // the one that is being worked on, from 1
  int64_t epochs = 0;
  double elapsed_s = 0;
  double samples_per_s = 0;  // since the start
  double loss = 0;  // mean over the current epoch; NaN while there is none
  double eta_s = 0;
};

ProgressSample SampleOf(const pb::JobStatus& status);

// "NAME  epoch 3/5  12,345/60,000  17540 samples/s  loss 0.3127  eta 7 s", cut
// to `columns`.
std::string LiveLine(const ProgressSample& sample, int columns);
// "trainer=NAME epoch=3/5 samples=... samples_per_s=... loss=... eta_s=..."
std::string PlainLine(const ProgressSample& sample);

// Where progress goes. A value.
struct ProgressStyle {
  std::FILE* out = nullptr;  // null: nowhere
  bool live = false;         // one line, redrawn in place
  int columns = 80;
};

// stderr: live when it is a terminal that can (TERM is not "dumb"), as wide as
// COLUMNS or the terminal says. There are no colours, as NO_COLOR asks.
ProgressStyle StderrStyle();

// Watches the job `job_id` through its first server until it is stopped, on a
// thread of its own; a server without that job yet is asked again. The id 0
// stands for whatever job there is. Server and clock outlive it.
class Progress {
 public:
  // Every second and at the end, on the observer's thread.
  using Observer = std::function<void(const ProgressSample&)>;

  Progress(ServerCalls& server, uint64_t job_id, Clock& clock,
           ProgressStyle style, Observer observer);
  // Stops.
  ~Progress() { Stop(); }
  // Shows and reports the last state, and ends the thread. Idempotent.
  void Stop();

 private:
  void Run();
  // Asks the server; shows and reports what is due.
  void Look(bool last);
  void Show(const ProgressSample& sample, bool last);

  ServerCalls& server_;
  const uint64_t job_id_;
  Clock& clock_;
  const ProgressStyle style_;
  const Observer observer_;
  const std::unique_ptr<Event> stop_;
  // Of the observer's thread.
  absl::Time next_line_ = absl::InfinitePast();
  absl::Time next_report_ = absl::InfinitePast();
  int64_t shown_epoch_ = 1;
  double last_loss_ = 0;
  bool line_is_open_ = false;  // a live line without its newline
  std::thread thread_;
};

}  // namespace monsoon
