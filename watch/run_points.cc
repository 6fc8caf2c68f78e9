// SPDX-License-Identifier: Apache-2.0
#include "watch/run_points.h"

#include <cmath>
#include <nlohmann/json.hpp>

namespace monsoon {
namespace {

using Json = nlohmann::ordered_json;

constexpr absl::Duration kEvery = absl::Seconds(1);
// A rate over less is mostly chance.
constexpr absl::Duration kShortest = absl::Milliseconds(500);

double Number(const Json& json, const char* key) {
  const auto it = json.find(key);
  return it != json.end() && it->is_number() ? it->get<double>()
                                             : WorkerView::kNone;
}

// Over all pushes of all workers so far, in rounds; NaN when there are none.
double MeanStaleness(const JobView& view) {
  double sum = 0;
  double pushes = 0;
  for (const WorkerView& worker : view.workers) {
    for (const auto& [staleness, count] : worker.member.report().staleness()) {
      sum += static_cast<double>(staleness) * static_cast<double>(count);
      pushes += static_cast<double>(count);
    }
  }
  return sum / pushes;
}

}  // namespace

void RunPoints::Add(const std::string& tag, double value,
                    std::vector<RunPoint>& to) {
  if (std::isfinite(value)) to.push_back({tag, value, step_, end_});
}

double RunPoints::BytesPerSecond(const JobView& view, absl::Time now) {
  double bytes = 0;
  for (const WorkerView& worker : view.workers) {
    const pb::WorkerReport& report = worker.member.report();
    bytes += static_cast<double>(report.bytes_up() + report.bytes_down());
  }
  const absl::Duration passed = now - bytes_at_;
  if (passed < kShortest) return WorkerView::kNone;
  const double grown = bytes - bytes_;
  const bool is_known = bytes_at_ != absl::InfinitePast();
  bytes_at_ = now;
  bytes_ = bytes;
  return is_known ? grown / absl::ToDoubleSeconds(passed) : WorkerView::kNone;
}

std::vector<RunPoint> RunPoints::See(const JobView& view, absl::Time now) {
  if (next_ == absl::InfinitePast()) {
    start_ = view.wall - absl::Seconds(view.progress.elapsed_s);
  }
  next_ = now + kEvery;
  step_ = view.progress.samples;
  end_ = view.wall;
  double samples_per_s = 0;
  for (const WorkerView& worker : view.workers) {
    samples_per_s += worker.samples_per_s;
  }
  double updates_per_s = 0;
  for (const ServerView& server : view.servers) {
    updates_per_s += server.updates_per_s;
  }
  std::vector<RunPoint> points;
  Add("train/loss", view.progress.loss, points);
  Add("perf/samples_per_second", samples_per_s, points);
  Add("ps/staleness_mean", MeanStaleness(view), points);
  Add("ps/updates_per_second", updates_per_s, points);
  Add("net/bytes_per_second", BytesPerSecond(view, now), points);
  return points;
}

std::vector<RunPoint> RunPoints::End(const Json& summary) {
  std::vector<RunPoint> points;
  // A run that failed may not know how far it came: it ends where it was seen.
  if (!(Number(summary, "samples") > 0)) return points;
  step_ = static_cast<int64_t>(Number(summary, "samples"));
  const double elapsed_s = Number(summary, "elapsed_s");
  if (std::isfinite(elapsed_s)) end_ = start_ + absl::Seconds(elapsed_s);
  for (const Json& point : summary.value("curve", Json::array())) {
    const auto samples = point[1].get<int64_t>();
    // The result itself may be its last point.
    if (samples >= step_) continue;
    points.push_back({kTestAccuracy, point[2].get<double>(), samples,
                      start_ + absl::Seconds(point[0].get<double>())});
  }
  Add(kTestAccuracy, Number(summary, "test_acc"), points);
  Add(kTestLoss, Number(summary, "test_loss"), points);
  Add(kElapsed, elapsed_s, points);
  Add(kSamplesPerSecond, Number(summary, "samples_per_s"), points);
  return points;
}

}  // namespace monsoon
