// SPDX-License-Identifier: Apache-2.0
#include "watch/job_view.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/numbers.h"

namespace monsoon {
namespace {

// What a rate is taken over.
constexpr absl::Duration kRateOver = absl::Seconds(3);

int64_t EpochsOf(const pb::JobSpec& spec) {
  const auto it = spec.settings().find("epochs");
  int64_t epochs = 0;
  const bool known =
      it != spec.settings().end() && absl::SimpleAtoi(it->second, &epochs);
  return known && epochs >= 1 ? epochs : 1;
}

// What a server says may be anything: the largest number instead of one that is
// too large.
int64_t Plus(int64_t a, int64_t b) {
  int64_t sum = 0;
  return __builtin_add_overflow(a, b, &sum)
             ? std::numeric_limits<int64_t>::max()
             : sum;
}
int64_t Times(int64_t a, int64_t b) {
  int64_t product = 0;
  return __builtin_mul_overflow(a, b, &product)
             ? std::numeric_limits<int64_t>::max()
             : product;
}

double MeanLoss(double sum, int64_t samples) {
  return samples > 0 ? sum / static_cast<double>(samples) : WorkerView::kNone;
}

WorkerView ViewOf(const pb::Member& member, double lease_s) {
  WorkerView view;
  view.member = member;
  const pb::WorkerReport& report = member.report();
  view.is_silent = report.state() == pb::RUNNING && member.silent_s() > lease_s;
  view.loss = MeanLoss(report.loss_sum(), report.loss_samples());
  double sum = 0;
  double pushes = 0;
  for (const auto& [staleness, count] : report.staleness()) {
    sum += static_cast<double>(staleness) * static_cast<double>(count);
    pushes += static_cast<double>(count);
  }
  if (pushes > 0) view.staleness_mean = sum / pushes;
  return view;
}

int64_t UpdatesOf(const pb::JobStatus& status) {
  int64_t updates = 0;
  for (const auto& [shard, histogram] : status.shard_staleness()) {
    for (const auto& [staleness, count] : histogram.counts()) {
      updates = Plus(updates, count);
    }
  }
  return updates;
}

}  // namespace

ProgressSample SampleOf(const pb::JobStatus& status) {
  ProgressSample sample;
  sample.trainer = status.spec().trainer();
  sample.epochs = EpochsOf(status.spec());
  sample.total = Times(status.spec().samples(), sample.epochs);
  sample.elapsed_s = status.elapsed_s();
  double loss_sum = 0;
  int64_t loss_samples = 0;
  for (const pb::Member& member : status.members()) {
    sample.samples = Plus(sample.samples, member.report().samples());
    loss_sum += member.report().loss_sum();
    loss_samples = Plus(loss_samples, member.report().loss_samples());
  }
  // Workers tell server 0 alone how far they are. What another has applied is
  // what it knows.
  if (status.server_index() != 0) sample.samples = status.samples_applied();
  const int64_t per_epoch = std::max<int64_t>(1, status.spec().samples());
  sample.epoch = std::min(sample.epochs, Plus(sample.samples / per_epoch, 1));
  sample.loss = MeanLoss(loss_sum, loss_samples);
  if (sample.elapsed_s > 0 && sample.samples > 0) {
    sample.samples_per_s =
        static_cast<double>(sample.samples) / sample.elapsed_s;
    const auto left =
        static_cast<double>(sample.total) - static_cast<double>(sample.samples);
    sample.eta_s = std::max(0.0, left / sample.samples_per_s);
  }
  return sample;
}

void JobViewer::Rate::Add(absl::Time now, double count) {
  if (!seen_.empty() && count < seen_.back().second) seen_.clear();
  seen_.emplace_back(now, count);
  // One that is older stays, so that the whole time is covered.
  while (seen_.size() > 2 && seen_[1].first <= now - kRateOver) {
    seen_.pop_front();
  }
}

double JobViewer::Rate::per_second() const {
  if (seen_.size() < 2) return WorkerView::kNone;
  const double passed =
      absl::ToDoubleSeconds(seen_.back().first - seen_.front().first);
  return passed > 0 ? (seen_.back().second - seen_.front().second) / passed
                    : WorkerView::kNone;
}

JobViewer::JobViewer(size_t servers)
    : servers_(servers), updates_(servers), cpu_(servers) {
  for (size_t i = 0; i < servers; ++i) servers_[i].index = static_cast<int>(i);
}

void JobViewer::Hear(size_t index, const pb::JobStatus* status,
                     absl::Time now) {
  now_ = now;
  servers_[index].answers = status != nullptr;
  if (status == nullptr) {
    servers_[index].updates_per_s = servers_[index].cores = WorkerView::kNone;
    return;
  }
  if (index == 0) HearFirst(*status, now);
  ServerView& server = servers_[index];  // which that may have made anew
  server.status = *status;
  server.updates = UpdatesOf(*status);
  updates_[index].Add(now, static_cast<double>(server.updates));
  cpu_[index].Add(now, status->cpu_s());
  server.updates_per_s = updates_[index].per_second();
  server.cores = cpu_[index].per_second();
}

void JobViewer::HearFirst(const pb::JobStatus& status, absl::Time now) {
  if (status.job_id() != servers_[0].status.job_id()) {
    const size_t servers = servers_.size();
    *this = JobViewer(servers);
    servers_[0].answers = true;
  }
  heard_first_ = now_ = now;
  for (const pb::Member& member : status.members()) {
    samples_[member.worker()].Add(
        now, static_cast<double>(member.report().samples()));
  }
  KeepLoss(SampleOf(status));
}

void JobViewer::KeepLoss(const ProgressSample& sample) {
  // At an epoch's first steps nobody has a loss yet: the last one stays.
  if (!std::isfinite(sample.loss)) return;
  last_loss_ = sample.loss;
  if (sample.samples < next_loss_) return;
  losses_.emplace_back(sample.samples, sample.loss);
  if (losses_.size() > JobView::kLosses) {  // every second one goes
    for (size_t i = 0; 2 * i < losses_.size(); ++i) losses_[i] = losses_[2 * i];
    losses_.resize((losses_.size() + 1) / 2);
    losses_every_ =
        std::max<int64_t>(1, 2 * (losses_[1].first - losses_[0].first));
  }
  next_loss_ = sample.samples + losses_every_;
}

bool JobViewer::has_begun() const {
  return SampleOf(servers_[0].status).samples > 0;
}

JobView JobViewer::View(absl::Time wall) const {
  const pb::JobStatus& first = servers_[0].status;
  JobView view;
  view.job_id = first.job_id();
  view.spec = first.spec();
  view.progress = SampleOf(first);
  if (!std::isfinite(view.progress.loss)) view.progress.loss = last_loss_;
  // Since who knows the workers has spoken.
  const absl::Duration silence =
      servers_[0].answers ? absl::ZeroDuration() : now_ - heard_first_;
  for (const pb::Member& member : first.members()) {
    pb::Member known = member;
    known.set_silent_s(member.silent_s() + absl::ToDoubleSeconds(silence));
    view.workers.push_back(ViewOf(known, first.lease_s()));
    // Workers tell server 0 how they are, the others only how they ended.
    if (silence > kRateOver || first.server_index() != 0) continue;
    view.workers.back().samples_per_s =
        samples_.at(member.worker()).per_second();
  }
  view.servers = servers_;
  view.losses = losses_;
  view.wall = wall;
  return view;
}

}  // namespace monsoon
