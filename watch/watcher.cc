// SPDX-License-Identifier: Apache-2.0
#include "watch/watcher.h"

#include <utility>

namespace monsoon {
namespace {

// Server 0 knows the workers and costs little to ask. The others are for what
// they do themselves.
constexpr absl::Duration kLook = absl::Milliseconds(100);
constexpr absl::Duration kLookAtOthers = absl::Seconds(1);
// A server that hangs is waited for until its call's deadline: rarely, so that
// neither the others are seen late nor the end of the run is held up.
constexpr absl::Duration kSoon = absl::Seconds(1);
constexpr absl::Duration kLeaveAlone = absl::Seconds(30);

}  // namespace

Watcher::Watcher(std::vector<ServerCalls*> servers, uint64_t job_id,
                 Clock& clock, std::vector<Observer*> observers)
    : servers_(std::move(servers)),
      job_id_(job_id),
      clock_(clock),
      observers_(std::move(observers)),
      stop_(clock.NewEvent()),
      viewer_(servers_.size()),
      not_before_(servers_.size(), absl::InfinitePast()),
      thread_([this] { Run(); }) {}

void Watcher::Stop() {
  stop_->Set();
  if (thread_.joinable()) thread_.join();
}

void Watcher::Run() {
  while (!stop_->Wait(clock_.Now() + kLook)) Look(false);
  Look(true);
}

void Watcher::Ask(size_t index) {
  const absl::Time asked = clock_.Now();
  if (asked < not_before_[index]) return;  // it has not answered
  pb::JobStatus status;
  const bool answers = servers_[index]->GetJob({}, status).ok() &&
                       (job_id_ == 0 || status.job_id() == job_id_);
  const absl::Time now = clock_.Now();
  // Without the first there is nothing to show.
  if (!answers && index != 0 && now - asked > kSoon) {
    not_before_[index] = now + kLeaveAlone;
  }
  viewer_.Hear(index, answers ? &status : nullptr, now);
}

void Watcher::Look(bool is_last) {
  Ask(0);
  if (is_last || clock_.Now() >= next_others_) {
    for (size_t i = 1; i < servers_.size(); ++i) Ask(i);
    next_others_ = clock_.Now() + kLookAtOthers;
  }
  if (!viewer_.has_begun()) return;
  const JobView view = viewer_.View(absl::Now());
  for (Observer* observer : observers_) observer->See(view, is_last);
}

}  // namespace monsoon
