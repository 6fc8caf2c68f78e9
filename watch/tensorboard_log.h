// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/clock.h"
#include "base/filesystem.h"
#include "watch/event_file.h"
#include "watch/observer.h"
#include "watch/run_points.h"

namespace monsoon {

// Writes a run for TensorBoard: the job into FOLDER/tensorboard/, each worker
// into FOLDER/tensorboard/worker-N/. A point a second and one at the end; on
// disk after two seconds at the latest. Of a run that never begins to learn
// there is nothing. What cannot be written is said once, and then nothing more
// is written.
class TensorBoardLog final : public Observer {
 public:
  // What `warn` needs, clock and files outlive it.
  TensorBoardLog(Warn warn, const std::string& folder, Clock& clock,
                 FileSystem& files);

  void See(const JobView& view, bool is_last) override;
  void End(const RunEnd& end) override;

 private:
  struct Worker {
    EventFile file;
    // Seconds of its steps up to the last point.
    double compute_s = 0, exchange_s = 0, data_s = 0;
  };

  void Begin(const JobView& view);
  void Add(const std::vector<RunPoint>& points);
  void AddWorker(const WorkerView& view, const JobView& job);
  void AddWeights(const RunEnd& end);
  // Of the pushes to all shards, and of each worker's.
  void AddStaleness(const RunEnd& end);
  // Into the job's file, as of now.
  void Add(const tb::Summary& values);
  Worker& WorkerOf(int rank);
  void Flush();

  const Warn warn_;
  const std::string folder_;
  Clock& clock_;
  FileSystem& files_;
  RunPoints points_;
  std::optional<EventFile> job_;  // from the first view on
  std::map<int, Worker> workers_;
  absl::Time next_flush_ = absl::InfinitePast();
  bool failed_ = false;
};

}  // namespace monsoon
