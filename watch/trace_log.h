// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "base/filesystem.h"
#include "base/trace.h"

namespace monsoon {

// Keeps what the workers of a process do, for a file in the Chrome trace format
// (JSON object), which Perfetto and chrome://tracing open: a process for each
// worker, in it a thread of its steps, one for exchanges beside them, and one
// for each shard. Its pid is the rank + 1, as 0 is the kernel's. Times are
// those of the workers' clock in microseconds: traces of one machine fit
// together.
class TraceLog final : public Tracer {
 public:
  // Of one worker; what is more is counted and dropped.
  static constexpr size_t kSpans = 1'000'000;

  // Writes an empty trace to `path` at once: UNAVAILABLE, naming the flag and
  // the path, where that cannot be. `files` outlives it.
  static absl::StatusOr<std::unique_ptr<TraceLog>> Open(std::string path,
                                                        FileSystem& files,
                                                        size_t spans = kSpans);
  ~TraceLog() override;

  TraceSink& OfWorker(int rank) override;

  // Replaces the file by all that has been added. INTERNAL where it cannot be
  // written; DATA_LOSS where it was, but spans were dropped.
  absl::Status Write();
  // Replaces the file by what is in `parts`, files that others have written.
  // Those that are not there are left out; DATA_LOSS names one that is no such
  // file, and what was written is the rest.
  absl::Status Merge(const std::vector<std::string>& parts);

 private:
  class Buffer;

  TraceLog(std::string path, FileSystem& files, size_t spans);
  absl::Status WriteEvents(const std::string& events,
                           const std::map<std::string, size_t>& dropped);

  const std::string path_;
  FileSystem& files_;
  const size_t spans_;
  absl::Mutex mu_;
  std::map<int, std::unique_ptr<Buffer>> buffers_ ABSL_GUARDED_BY(mu_);
};

// Opens a log; null where `path` is empty.
absl::StatusOr<std::unique_ptr<TraceLog>> OpenTrace(const std::string& path,
                                                    FileSystem& files);

// What went wrong with a trace at the end of a run, as a warning on stderr in
// the name of `program`: the run is none the worse for it.
void WarnOfTrace(const std::string& program, const absl::Status& status);

}  // namespace monsoon
