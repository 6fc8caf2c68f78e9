// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "proto/convert.h"
#include "proto/monsoon.pb.h"
#include "trainers/trainer.h"

namespace monsoon {

// What a person chooses about a job, under the names of the flags and of the
// keys of --config FILE.toml. A value.
struct Options {
  std::string trainer = DefaultTrainer();
  std::string model = "mlp";
  std::string data = "fashion-mnist";      // or fashion-mnist:DIR
  std::map<std::string, std::string> set;  // trainer hyper-parameters
  int workers = 2;
  int servers = 1;
  int batch_size = 64;
  int epochs = 1;
  std::string optimizer;  // empty: the trainer's default
  double lr = 0;          // 0: the trainer's default
  std::string lr_schedule = "constant";
  double warmup = 0;          // epochs
  double lr_step_epochs = 0;  // of the schedule "step" alone
  double lr_decay = 0.1;      // likewise
  double weight_decay = 0;
  double clip_norm = 0;  // 0: no limit
  double label_smoothing = 0;
  std::string precision = "fp32";
  // How values travel: of pushes, and behind a comma of replies. Resolved, it
  // is one name where both are the same.
  std::string wire = "fp32";
  bool overlap = false;    // exchanges run beside the next window
  int max_lead = -1;       // in clocks: exchanges; -1: no limit
  int max_staleness = -1;  // in rounds of a shard; -1: no limit
  int eval_every = 0;      // samples; 0: only the result is evaluated
  double time_to = 0;      // a test accuracy; 0: none
  uint64_t seed = 1;
  std::string device = "auto";
  std::string server_device = "cpu";  // of servers in the workers' process
  std::string transport = "auto";
  std::string out;  // run folder; empty: made from time and settings
  int threads = 1;  // compute threads of each worker
  absl::Duration connect_timeout = absl::Seconds(10);
  // Flags (without dashes) that the person gave; the rest are defaults, and a
  // worker of rank 1 or more takes those from the job.
  std::set<std::string> given;
};

// Fills in what follows from other choices (optimizer and rate of the trainer,
// one worker for trainers that have but one) and checks everything that can be
// checked without data: INVALID_ARGUMENT names flag, value and what is
// accepted.
absl::Status ResolveOptions(Options& options);

// All workers and the server must share one process: the trainer works in the
// memory of the center itself. INVALID_ARGUMENT, for commands that start
// processes, which cannot have it.
absl::Status CheckSeparateProcesses(const Options& options);

// The servers are not in the workers' process: INVALID_ARGUMENT for what that
// makes impossible. Of options that are not yet resolved.
absl::Status CheckServersElsewhere(const Options& options);

// What resolved options allow and will hardly end well, a line each.
std::vector<std::string> WarningsOf(const Options& options);

// The trainer of resolved options, with every hyper-parameter in force.
absl::StatusOr<MadeTrainer> TrainerOf(const Options& options);

// What a worker that has `epoch_samples` in each epoch does whatever its
// trainer. `options` are resolved.
LocalRules LocalRulesOf(const Options& options, int64_t epoch_samples);

// What can be checked once the number of training samples is known: everybody
// has some, and a whole batch. INVALID_ARGUMENT, before any work.
absl::Status CheckDataSize(const Options& options, int64_t samples);

// The choices that all workers of a job share, as JobSpec.settings, and back:
// only what the person has not given is taken from the job, which also says
// trainer, hyper-parameters and workers.
void SettingsToSpec(const Options& options, pb::JobSpec& spec);
// INVALID_ARGUMENT for a setting that is no value of its key.
absl::Status SettingsFromSpec(const pb::JobSpec& spec, Options& options);

}  // namespace monsoon
