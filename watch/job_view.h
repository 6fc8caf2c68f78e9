// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <limits>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "proto/convert.h"

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

// How one worker does. What is not known yet is NaN.
struct WorkerView {
  static constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

  pb::Member member;              // rank, and its last report
  bool is_silent = false;         // for longer than the lease: counts as dead
  double samples_per_s = kNone;   // over the last seconds
  double loss = kNone;            // mean over its current epoch so far
  double staleness_mean = kNone;  // over all of its pushes, in rounds
};

// How one server does.
struct ServerView {
  int index = 0;
  bool answers = false;  // the last time that it was asked
  // As it last answered; without a job_id while it never has.
  pb::JobStatus status;
  int64_t updates = 0;  // pushes of shards that it has applied
  double updates_per_s = WorkerView::kNone;  // over the last seconds
  // Processor seconds of its process a second, over the last seconds: 1 is one
  // core. Of servers in one process, that of all together.
  double cores = WorkerView::kNone;
};

// A running job as those see it who watch it: what its servers say, and what
// follows from how that changes. A value.
struct JobView {
  uint64_t job_id = 0;
  pb::JobSpec spec;
  ProgressSample progress;
  std::vector<WorkerView> workers;  // by rank
  std::vector<ServerView> servers;  // by index
  // Of this many samples the mean loss over the epoch so far was that: from the
  // start of the job on, thinned out to at most kLosses points.
  std::vector<std::pair<int64_t, double>> losses;
  absl::Time wall;  // of the system's clock, when it was looked at

  static constexpr size_t kLosses = 400;
};

// Makes views of what servers say, one after the other. One thread.
class JobViewer {
 public:
  explicit JobViewer(size_t servers);

  // What server `index` says at `now` of a clock that does not jump; null when
  // it did not answer. Another job than before begins anew.
  void Hear(size_t index, const pb::JobStatus* status, absl::Time now);
  // A job is known, and has begun to learn.
  bool has_begun() const;
  // REQUIRES: has_begun().
  JobView View(absl::Time wall) const;

 private:
  // A count that grows, as it was over the last seconds.
  class Rate {
   public:
    void Add(absl::Time now, double count);
    double per_second() const;  // NaN until it is known

   private:
    std::deque<std::pair<absl::Time, double>> seen_;
  };

  void HearFirst(const pb::JobStatus& status, absl::Time now);
  void KeepLoss(const ProgressSample& sample);

  std::vector<ServerView> servers_;
  std::vector<Rate> updates_, cpu_;  // by server
  std::map<int, Rate> samples_;      // by worker
  std::vector<std::pair<int64_t, double>> losses_;
  int64_t losses_every_ = 1, next_loss_ = 1;  // samples
  double last_loss_ = WorkerView::kNone;
  absl::Time heard_first_, now_;  // server 0; anybody, or nobody
};

}  // namespace monsoon
