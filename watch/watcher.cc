// SPDX-License-Identifier: Apache-2.0
#include "watch/watcher.h"

#include <utility>

namespace monsoon {
namespace {

// Server 0 knows the workers and costs little to ask. The others are for what
// they do themselves.
constexpr absl::Duration kLook = absl::Milliseconds(100);
constexpr absl::Duration kLookAtOthers = absl::Seconds(1);

}  // namespace

Watcher::Watcher(std::vector<ServerCalls*> servers, uint64_t job_id,
                 Clock& clock, std::vector<Observer*> observers)
    : servers_(std::move(servers)),
      job_id_(job_id),
      clock_(clock),
      observers_(std::move(observers)),
      stop_(clock.NewEvent()),
      viewer_(servers_.size()),
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
  pb::JobStatus status;
  const bool answers = servers_[index]->GetJob({}, status).ok() &&
                       (job_id_ == 0 || status.job_id() == job_id_);
  viewer_.Hear(index, answers ? &status : nullptr, clock_.Now());
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
