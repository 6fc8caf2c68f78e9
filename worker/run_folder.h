// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/filesystem.h"
#include "base/flat.h"
#include "base/layout.h"
#include "watch/job_view.h"
#include "worker/options.h"

namespace monsoon {

// What a run leaves behind:
//   config.toml summary.json metrics.jsonl logs/ checkpoints/final.safetensors
// and tensorboard/, which an observer writes (watch/tensorboard_log.h).
// Made by the first write into it, so that a run which never began leaves
// nothing. Not thread-safe.
class RunFolder {
 public:
  // The folder of --out, or runs/TIME-TRAINER-MODEL-bBATCH-XXXX with the UTC
  // time `now` and 16 random bits. INVALID_ARGUMENT when it holds a finished
  // run. `options` are resolved; `files` outlives the folder.
  static absl::StatusOr<RunFolder> Plan(const Options& options,
                                        FileSystem& files, absl::Time now,
                                        uint16_t random);

  const std::string& path() const { return path_; }
  // Has anything been written yet?
  bool made() const { return made_; }

  // Adds a line to metrics.jsonl.
  absl::Status AddMetrics(const ProgressSample& sample);
  absl::Status WriteModel(const Options& options, const ParameterLayout& layout,
                          absl::Span<const Flat> members);
  // `json` is one line without its newline. Ends the run.
  absl::Status WriteSummary(const std::string& json);

 private:
  RunFolder(std::string path, std::string config, FileSystem& files)
      : path_(std::move(path)), config_(std::move(config)), files_(&files) {}

  absl::Status Make();

  std::string path_;
  std::string config_;
  FileSystem* files_;
  bool made_ = false;
};

}  // namespace monsoon
