// SPDX-License-Identifier: Apache-2.0
#include "watch/job_view.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

namespace monsoon {
namespace {

pb::JobStatus Status(int64_t first, int64_t second) {
  pb::JobStatus status;
  status.set_job_id(7);
  status.set_elapsed_s(2);
  status.set_lease_s(10);
  status.mutable_spec()->set_trainer("adag");
  status.mutable_spec()->set_samples(100);
  (*status.mutable_spec()->mutable_settings())["epochs"] = "3";
  int rank = 0;
  for (const int64_t samples : {first, second}) {
    pb::Member& member = *status.add_members();
    member.set_worker(rank++);
    pb::WorkerReport& report = *member.mutable_report();
    report.set_samples(samples);
    report.set_loss_samples(samples);
    report.set_loss_sum(0.5 * static_cast<double>(samples));
  }
  return status;
}

absl::Time At(double seconds) {
  return absl::UnixEpoch() + absl::Seconds(seconds);
}

TEST_CASE("Progress adds the workers up", "[watch]") {
  const ProgressSample sample = SampleOf(Status(80, 70));
  CHECK(sample.samples == 150);
  CHECK(sample.total == 300);
  CHECK(sample.epoch == 2);
  CHECK(sample.epochs == 3);
  CHECK(sample.loss == 0.5);
  CHECK(sample.samples_per_s == 75);
  CHECK(sample.eta_s == 2);
  CHECK(SampleOf(Status(150, 150)).epoch == 3);
  CHECK(std::isnan(SampleOf(Status(0, 0)).loss));
}

TEST_CASE("Rates are those of the last seconds", "[watch]") {
  JobViewer viewer(1);
  CHECK_FALSE(viewer.has_begun());
  const pb::JobStatus start = Status(10, 0);
  viewer.Hear(0, &start, At(0));
  CHECK(viewer.has_begun());
  CHECK(std::isnan(viewer.View(At(0)).workers[0].samples_per_s));
  // A slow second, and then five fast ones.
  for (int second = 1; second <= 6; ++second) {
    pb::JobStatus status = Status(second == 1 ? 11 : 11 + 20 * (second - 1), 0);
    status.set_cpu_s(0.25 * second);
    (*(*status.mutable_shard_staleness())[0].mutable_counts())[2] = 5 * second;
    (*(*status.mutable_shard_staleness())[1].mutable_counts())[0] = 3 * second;
    viewer.Hear(0, &status, At(second));
  }
  const JobView view = viewer.View(At(6));
  CHECK(view.workers[0].samples_per_s == 20);
  CHECK(view.workers[1].samples_per_s == 0);
  CHECK(view.servers[0].updates == 48);
  CHECK(view.servers[0].updates_per_s == 8);
  CHECK(view.servers[0].cores == 0.25);
}

TEST_CASE("A worker that is silent for longer than its lease is seen",
          "[watch]") {
  pb::JobStatus status = Status(10, 10);
  status.mutable_members(1)->set_silent_s(10.5);
  (*status.mutable_members(0)->mutable_report()->mutable_staleness())[1] = 3;
  (*status.mutable_members(0)->mutable_report()->mutable_staleness())[5] = 1;
  JobViewer viewer(1);
  viewer.Hear(0, &status, At(0));
  CHECK(viewer.View(At(0)).workers[1].is_silent);
  CHECK_FALSE(viewer.View(At(0)).workers[0].is_silent);
  CHECK(viewer.View(At(0)).workers[0].staleness_mean == 2);
  CHECK(std::isnan(viewer.View(At(0)).workers[1].staleness_mean));
  status.mutable_members(1)->mutable_report()->set_state(pb::DONE);
  viewer.Hear(0, &status, At(1));
  CHECK_FALSE(viewer.View(At(1)).workers[1].is_silent);
}

TEST_CASE("Losses cover the whole job in bounded memory", "[watch]") {
  JobViewer viewer(1);
  for (int64_t samples = 1; samples <= 100'000; samples += 7) {
    const pb::JobStatus status = Status(samples, 0);
    viewer.Hear(0, &status, At(static_cast<double>(samples)));
  }
  const auto losses = viewer.View(At(0)).losses;
  CHECK(losses.size() <= JobView::kLosses);
  CHECK(losses.size() >= JobView::kLosses / 4);
  CHECK(losses.front().first == 1);
  CHECK(losses.back().first > 99'000);
  for (size_t i = 1; i < losses.size(); ++i) {
    CHECK(losses[i - 1].first < losses[i].first);
  }
}

TEST_CASE("The next job begins anew, and a server that is gone is seen",
          "[watch]") {
  JobViewer viewer(2);
  pb::JobStatus status = Status(50, 50);
  viewer.Hear(0, &status, At(0));
  viewer.Hear(1, &status, At(0));
  CHECK(viewer.View(At(0)).servers[1].answers);
  viewer.Hear(1, nullptr, At(1));
  CHECK_FALSE(viewer.View(At(1)).servers[1].answers);
  CHECK(viewer.View(At(1)).servers[1].status.job_id() == 7);
  status = Status(1, 0);
  status.set_job_id(8);
  viewer.Hear(0, &status, At(2));
  const JobView view = viewer.View(At(2));
  CHECK(view.job_id == 8);
  CHECK(view.losses.size() == 1);
  CHECK(std::isnan(view.workers[0].samples_per_s));
}

TEST_CASE("Of a server 0 that does not answer nothing looks alive", "[watch]") {
  JobViewer viewer(1);
  for (int second = 0; second < 3; ++second) {
    const pb::JobStatus status = Status(10 * second + 10, 10);
    viewer.Hear(0, &status, At(second));
  }
  viewer.Hear(0, nullptr, At(4));
  CHECK(viewer.View(At(4)).workers[0].samples_per_s == 10);
  viewer.Hear(0, nullptr, At(8));
  CHECK(std::isnan(viewer.View(At(8)).workers[0].samples_per_s));
  CHECK(std::isnan(viewer.View(At(8)).servers[0].updates_per_s));
  CHECK_FALSE(viewer.View(At(8)).workers[0].is_silent);
  viewer.Hear(0, nullptr, At(13));  // its lease is 10 s
  CHECK(viewer.View(At(13)).workers[0].is_silent);
}

TEST_CASE("Numbers that no job has do not overflow", "[watch]") {
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  pb::JobStatus status = Status(kMost, kMost);
  status.mutable_spec()->set_samples(kMost);
  const ProgressSample sample = SampleOf(status);
  CHECK(sample.samples == kMost);
  CHECK(sample.total == kMost);
  CHECK(sample.eta_s >= 0);
  CHECK(SampleOf(Status(1000, 0)).eta_s == 0);
}

TEST_CASE("What a later server hears at the end is no speed", "[watch]") {
  JobViewer viewer(1);
  pb::JobStatus status = Status(0, 0);
  status.set_server_index(1);
  status.set_samples_applied(50);
  viewer.Hear(0, &status, At(0));
  status = Status(150, 150);
  status.set_server_index(1);
  status.set_samples_applied(300);
  viewer.Hear(0, &status, At(1));
  CHECK(viewer.View(At(1)).progress.samples == 300);
  CHECK(std::isnan(viewer.View(At(1)).workers[0].samples_per_s));
}

}  // namespace
}  // namespace monsoon
