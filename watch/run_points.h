// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "watch/job_view.h"

namespace monsoon {

// The scalars that a run ends with, which are its results.
inline constexpr char kTestAccuracy[] = "test/accuracy";
inline constexpr char kTestLoss[] = "test/loss";
inline constexpr char kElapsed[] = "run/elapsed_s";
inline constexpr char kSamplesPerSecond[] = "run/samples_per_second";

// A finite number that was so at `wall` of the system's clock, when all workers
// together had processed `step` samples.
struct RunPoint {
  std::string tag;  // "train/loss"
  double value = 0;
  int64_t step = 0;
  absl::Time wall;
};

// Makes points of a job as a whole, for those who keep curves: a few a second
// while it runs, and the results. What is not known or not finite has none. For
// one thread.
class RunPoints {
 public:
  // When a view is due: a second after the one before, and the last one.
  bool IsDue(absl::Time now, bool is_last) const {
    return is_last || now >= next_;
  }
  // The points of a view, at `now` of a clock that does not jump.
  std::vector<RunPoint> See(const JobView& view, absl::Time now);
  // Those of a curve of test accuracy, at their own times, and of the results,
  // as of the end. REQUIRES: has seen a view.
  std::vector<RunPoint> End(const nlohmann::ordered_json& summary);

  // Of the system's clock: when the job began, and when it was seen last or,
  // once it has ended, when that was.
  absl::Time start() const { return start_; }
  absl::Time end() const { return end_; }
  // Samples at the last view; after the end, of all.
  int64_t step() const { return step_; }

 private:
  void Add(const std::string& tag, double value, std::vector<RunPoint>& to);
  double BytesPerSecond(const JobView& view, absl::Time now);

  absl::Time start_, end_;
  int64_t step_ = 0;
  absl::Time next_ = absl::InfinitePast();
  absl::Time bytes_at_ = absl::InfinitePast();
  double bytes_ = 0;
};

}  // namespace monsoon
