// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "watch/observer.h"
#include "worker/run_folder.h"

namespace monsoon {

// Adds a line a second, and one at the end, to the metrics of a run folder.
class MetricsLog final : public Observer {
 public:
  // Folder and clock outlive it.
  MetricsLog(RunFolder& folder, Clock& clock)
      : folder_(folder), clock_(clock) {}

  void See(const JobView& view, bool is_last) override {
    const absl::Time now = clock_.Now();
    if (!is_last && now < next_) return;
    status_.Update(folder_.AddMetrics(view.progress));
    next_ = now + kEvery;
  }

  // What went wrong first. REQUIRES: nobody watches any more.
  const absl::Status& status() const { return status_; }

 private:
  static constexpr absl::Duration kEvery = absl::Seconds(1);

  RunFolder& folder_;
  Clock& clock_;
  absl::Time next_ = absl::InfinitePast();
  absl::Status status_;
};

}  // namespace monsoon
