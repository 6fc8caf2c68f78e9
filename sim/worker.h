// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "data/loader.h"
#include "models/model.h"
#include "sim/gradients.h"
#include "sim/spec.h"
#include "sim/virtual_clock.h"
#include "trainers/trainer.h"
#include "worker/run_worker.h"
#include "worker/shard_link.h"

namespace monsoon {

// What the workers of one simulated job share. Constant while they run, but for
// the model, which one of them uses at a time.
struct SimulatedJob {
  const Options& options;  // resolved
  const SimulationSpec& spec;
  const Dataset& data;
  const std::atomic<int>& stop;  // as WorkerEnvironment::stop
  VirtualClock& clock;
  MadeTrainer trainer;
  Wire wire;
  std::unique_ptr<Optimizer> optimizer;
  std::unique_ptr<Model> model;  // null: gradients are of a quadratic
  ParameterLayout layout;
  std::vector<ShardRange> shards;
  pb::JobSpec job;
  uint64_t job_id = 0;
  absl::Duration lease;  // of the servers
};

// One rank of a simulated job: all the processes that have it, one after the
// other. It joins, trains by the real loop and link, reports, and comes back
// after a crash; what is simulated is how long its steps take. An actor of the
// job's clock.
//
// Computing takes no virtual time where it happens: first the time of the steps
// up to the next exchange passes (as many as there were in the last window; at
// first the trainer's hyper-parameter `window`, else 1), then they are computed
// at once. Where a window was shorter, what has passed is taken off the next.
// So a crash costs nothing that was computed, and between windows a replica is
// little more than its center and its slots.
class SimulatedWorker {
 public:
  // All outlive this; `servers` are this worker's way to them.
  SimulatedWorker(SimulatedJob& job, int rank,
                  std::vector<ServerCalls*> servers);
  ~SimulatedWorker();

  // The whole of it, on a thread of the clock's.
  void Live();

  struct Tally {
    int64_t samples_lost = 0;  // consumed, and gone with a process
    int64_t crashes = 0;
    absl::Duration computing;
    absl::Time ended;
  };
  // After Live.
  const Tally& tally() const { return tally_; }
  const pb::WorkerReport& report() const { return report_; }
  // What prevented that it is taken into account at all.
  const absl::Status& status() const { return status_; }
  // The replica's parameters at the end, where the trainer's result is that;
  // else empty.
  const Flat& result() const { return result_; }

 private:
  struct Process;  // of this rank: what is gone with it

  // From joining to the end (false) or a crash (true).
  absl::StatusOr<bool> LiveOnce();
  absl::StatusOr<bool> Train(Process& process);
  // Lets the time of steps pass that are not computed yet; true: it crashed.
  absl::StatusOr<bool> Pass(Process& process);
  // What is pending, and the next `batches`, will never reach the center.
  void Lose(const Process& process, int64_t batches);
  void AfterStep(const TrainingLoop::Step& step);
  // Adds the counters of a process that is gone.
  void Count(const Process& process);

  absl::Status Join();
  absl::Status End(const absl::Status& ended);
  absl::Status ShowLife();
  // Now and then, for as long as the rank's process is this one.
  void ShowLifeFrom(uint64_t incarnation);
  pb::ReportRequest Ids() const;
  // The call again, while it is lost or its time has not come.
  absl::Status Retried(absl::FunctionRef<absl::Status()> call) const;
  void Wait(absl::Duration duration) const;

  SimulatedJob& job_;
  const int rank_;
  const std::vector<ServerCalls*> servers_;
  const BatchPlan plan_;
  std::optional<Loader> loader_;  // with a model
  std::unique_ptr<GradientSource> source_;
  Random steps_, crashes_, processes_;
  double slowness_ = 1;
  uint64_t incarnation_ = 0;  // 0: no process, or none that lives
  bool has_begun_ = false;
  int64_t batch_ = 0;   // the next
  int64_t window_ = 1;  // steps that are expected up to the next exchange
  int64_t loss_epoch_ = 0;
  Tally tally_;
  pb::WorkerReport report_;
  absl::Status status_;
  Flat result_;
};

}  // namespace monsoon
