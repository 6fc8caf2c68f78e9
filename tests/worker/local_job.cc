// SPDX-License-Identifier: Apache-2.0
#include "tests/worker/local_job.h"

#include <cstdlib>
#include <thread>

namespace monsoon {

Dataset SmallFashionMnist(int64_t count) {
  const char* const place = std::getenv("MONSOON_TEST_DATA");
  Dataset data = *LoadDataset(place == nullptr ? "fashion-mnist" : place,
                              Split::kTrain, RealFileSystem());
  data.images.resize(static_cast<size_t>(count * data.example_size()));
  data.labels.resize(static_cast<size_t>(count));
  data.total = count;
  return data;
}

std::vector<absl::StatusOr<JobOutcome>> RunLocalJob(
    const Options& options, const std::vector<ServerCalls*>& servers,
    const Dataset& train, const std::atomic<int>& stop, Tracer* tracer) {
  std::vector<absl::StatusOr<JobOutcome>> outcomes;
  for (int rank = 0; rank < options.workers; ++rank) {
    outcomes.emplace_back(absl::UnknownError("not run"));
  }
  std::vector<std::thread> threads;
  for (int rank = 0; rank < options.workers; ++rank) {
    threads.emplace_back([&, rank] {
      WorkerEnvironment environment{
          .clock = RealClock(),
          .files = RealFileSystem(),
          .servers = servers,
          .stop = stop,
          .started = RealClock().Now(),
          .job_id = 1,
          .incarnation = static_cast<uint64_t>(rank) + 1,
          .train = &train,
          .tracer = tracer};
      outcomes[static_cast<size_t>(rank)] =
          RunWorker(options, rank, environment);
    });
  }
  for (std::thread& thread : threads) thread.join();
  return outcomes;
}

}  // namespace monsoon
