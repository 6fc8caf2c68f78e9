// SPDX-License-Identifier: Apache-2.0
#include "watch/tensorboard_log.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "watch/tensorboard_values.h"

namespace monsoon {
namespace {

using Json = nlohmann::ordered_json;

constexpr absl::Duration kFlushEvery = absl::Seconds(2);

// {"0": 120, "1": 15} added to what is there.
void AddCounts(const Json& json, std::map<int64_t, int64_t>& to) {
  for (const auto& [text, count] : json.items()) {
    int64_t staleness = 0;
    if (absl::SimpleAtoi(text, &staleness))
      to[staleness] += count.get<int64_t>();
  }
}

}  // namespace

TensorBoardLog::TensorBoardLog(Warn warn, const std::string& folder,
                               Clock& clock, FileSystem& files)
    : warn_(std::move(warn)),
      folder_(JoinPath(folder, "tensorboard")),
      clock_(clock),
      files_(files) {}

void TensorBoardLog::See(const JobView& view, bool is_last) {
  const absl::Time now = clock_.Now();
  if (failed_ || !points_.IsDue(now, is_last)) return;
  const std::vector<RunPoint> points = points_.See(view, now);
  if (!job_.has_value()) Begin(view);
  Add(points);
  for (const WorkerView& worker : view.workers) AddWorker(worker, view);
  if (!is_last && now < next_flush_) return;
  Flush();
  next_flush_ = now + kFlushEvery;
}

void TensorBoardLog::Begin(const JobView& view) {
  job_.emplace(folder_, view.wall, files_);
  tb::Summary values;
  AddHParams(view.spec, points_.start(), values);
  job_->Add(view.wall, 0, values);
}

void TensorBoardLog::Add(const std::vector<RunPoint>& points) {
  for (const RunPoint& point : points) {
    tb::Summary values;
    AddScalar(point.tag, point.value, values);
    job_->Add(point.wall, point.step, values);
  }
}

void TensorBoardLog::Add(const tb::Summary& values) {
  job_->Add(points_.end(), points_.step(), values);
}

TensorBoardLog::Worker& TensorBoardLog::WorkerOf(int rank) {
  const auto it = workers_.find(rank);
  if (it != workers_.end()) return it->second;
  const std::string folder = JoinPath(folder_, absl::StrCat("worker-", rank));
  return workers_
      .emplace(rank, Worker{EventFile(folder, points_.end(), files_)})
      .first->second;
}

void TensorBoardLog::AddWorker(const WorkerView& view, const JobView& job) {
  const pb::WorkerReport& report = view.member.report();
  Worker& worker = WorkerOf(view.member.worker());
  tb::Summary values;
  AddScalar("train/loss", view.loss, values);
  AddScalar("perf/samples_per_second", view.samples_per_s, values);
  AddScalar("ps/staleness_mean", view.staleness_mean, values);
  const double compute = report.compute_s() - worker.compute_s;
  const double exchange = report.exchange_s() - worker.exchange_s;
  const double data = report.data_s() - worker.data_s;
  const double all = compute + exchange + data;
  // A worker that came anew has counted from 0 again.
  if (all > 0 && std::min({compute, exchange, data}) >= 0) {
    AddScalar("time/compute_share", compute / all, values);
    AddScalar("time/exchange_share", exchange / all, values);
    AddScalar("time/data_share", data / all, values);
  }
  worker.compute_s = report.compute_s();
  worker.exchange_s = report.exchange_s();
  worker.data_s = report.data_s();
  worker.file.Add(job.wall, points_.step(), values);
}

void TensorBoardLog::AddStaleness(const RunEnd& end) {
  const Json staleness = end.summary.value("staleness", Json::object());
  if (!staleness.is_object() || staleness.empty()) return;
  std::map<int64_t, int64_t> of_all;
  for (const auto& [shard, counts] : staleness["shards"].items()) {
    AddCounts(counts, of_all);
  }
  tb::Summary values;
  AddHistogram("ps/staleness", Bucketed(of_all), values);
  Add(values);
  for (const auto& [text, counts] : staleness["workers"].items()) {
    int rank = 0;
    if (!absl::SimpleAtoi(text, &rank)) continue;
    std::map<int64_t, int64_t> of_worker;
    AddCounts(counts, of_worker);
    tb::Summary of_rank;
    AddHistogram("ps/staleness", Bucketed(of_worker), of_rank);
    WorkerOf(rank).file.Add(points_.end(), points_.step(), of_rank);
  }
}

void TensorBoardLog::AddWeights(const RunEnd& end) {
  if (end.layout == nullptr) return;
  int64_t not_finite = 0;
  for (size_t i = 0; i < end.members.size(); ++i) {
    const std::string group = end.members.size() == 1
                                  ? "weights/"
                                  : absl::StrCat("weights-of-", i, "/");
    tb::Summary values;
    for (const TensorSpec& tensor : end.layout->tensors()) {
      const BucketedValues bucketed = Bucketed(
          end.members[i].span().subspan(static_cast<size_t>(tensor.offset),
                                        static_cast<size_t>(tensor.size())));
      AddHistogram(absl::StrCat(group, tensor.name), bucketed, values);
      not_finite += bucketed.not_finite;
    }
    Add(values);
  }
  if (not_finite == 0) return;
  tb::Summary values;
  AddScalar("weights/not_finite", static_cast<double>(not_finite), values);
  Add(values);
}

void TensorBoardLog::End(const RunEnd& end) {
  if (failed_ || !job_.has_value()) return;
  Add(points_.End(end.summary));
  tb::Summary values;
  const bool is_done = end.summary.value("status", "") == "done";
  AddHParamsEnd(is_done, points_.end(), values);
  Add(values);
  AddStaleness(end);
  AddWeights(end);
  Flush();
}

void TensorBoardLog::Flush() {
  absl::Status status = job_->Flush();
  for (auto& [rank, worker] : workers_) {
    if (status.ok()) status = worker.file.Flush();
  }
  if (status.ok()) return;
  failed_ = true;
  warn_(absl::StrCat(status.message(),
                     "; the run goes on, and nothing more is written for "
                     "TensorBoard"));
}

}  // namespace monsoon
