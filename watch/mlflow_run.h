// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/event.h"
#include "base/filesystem.h"
#include "watch/http.h"
#include "watch/job_settings.h"
#include "watch/mlflow_client.h"
#include "watch/observer.h"
#include "watch/run_points.h"

namespace monsoon {

// Where and how a run is tracked. A value.
struct MlflowTarget {
  std::string url;  // as ParseMlflowUrl has it
  std::string experiment;
  MlflowNames names;
  std::string folder;  // of the run, whose files are sent at the end
};

// How the flag --mlflow URL and the environment have it: the experiment
// MLFLOW_EXPERIMENT_NAME (else "monsoon"), and MLFLOW_TRACKING_USERNAME with
// _PASSWORD, or MLFLOW_TRACKING_TOKEN. INVALID_ARGUMENT: the URL is none. What
// `warn` needs, clock and files outlive the observer.
absl::StatusOr<std::unique_ptr<Observer>> OpenMlflow(const std::string& url,
                                                     const std::string& program,
                                                     const std::string& folder,
                                                     Warn warn, Clock& clock,
                                                     FileSystem& files);

// Mirrors a run to an MLflow server: settings, a point of each curve a second,
// results, files, and how it ended. All calls are made on a thread of its own,
// again after growing pauses while the server does not answer; at the end what
// is left goes there as long as each kLast brings something. The first trouble
// is said, and at the end what has been lost.
class MlflowRun final : public Observer {
 public:
  static constexpr absl::Duration kLast = absl::Seconds(5);
  static constexpr absl::Duration kLastInAll = absl::Seconds(20);
  // Points that wait for a server; with more, the oldest are lost.
  static constexpr size_t kMostWaiting = 20'000;

  // What `warn` needs, clock and files outlive it.
  MlflowRun(MlflowTarget target, std::unique_ptr<HttpCalls> http, Warn warn,
            Clock& clock, FileSystem& files);
  // Of a run without an end: as if it had failed.
  ~MlflowRun() override;

  void See(const JobView& view, bool is_last) override;
  // Returns within kLast and a second when the server is silent.
  void End(const RunEnd& end) override;

 private:
  // What the thread is told, and what it has not sent yet.
  struct Mailbox {
    std::optional<std::vector<JobSetting>> settings;  // the run has begun
    absl::Time start;
    std::deque<RunPoint> points;
    int64_t lost = 0;    // points
    std::string status;  // the run has ended, as MLflow calls it
    absl::Time end;
    bool has_files = false;  // in the folder
  };

  // Of the thread that owns the run.
  void Finish(const std::string& status, bool has_files);
  void Post(const std::vector<RunPoint>& points);
  void SayLoss();

  // Of the thread that calls.
  void Run();
  absl::Status Deliver(bool is_last);
  absl::Status BeginRun();
  absl::Status SendPoints();
  absl::Status SendEnd();
  // Until it succeeds, fails for good, or there is no time left.
  absl::Status Try(absl::FunctionRef<absl::Status()> call);
  void SayTrouble(const absl::Status& status);

  const MlflowTarget target_;
  const Warn warn_;
  Clock& clock_;
  FileSystem& files_;
  std::atomic<bool> give_up_{false};
  std::atomic<int64_t> delivered_{0};  // calls
  MlflowClient client_;
  RunPoints points_;  // of the watcher's thread, then the owner's
  bool finished_ = false;
  absl::Mutex mutex_;
  Mailbox mailbox_ ABSL_GUARDED_BY(mutex_);
  const std::unique_ptr<Event> end_;   // of the run
  const std::unique_ptr<Event> stop_;  // no time is left
  const std::unique_ptr<Event> done_;  // the thread has no more to do
  // Of the thread that calls; of the owner's when that is done.
  size_t params_sent_ = 0;
  std::vector<RunPoint> sending_;
  bool is_ended_ = false;
  std::vector<std::string> unsent_files_;
  bool said_trouble_ = false;
  absl::Status last_;  // what went wrong last
  std::thread thread_;
};

}  // namespace monsoon
