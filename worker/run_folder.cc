// SPDX-License-Identifier: Apache-2.0
#include "worker/run_folder.h"

#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "worker/config_file.h"
#include "worker/saved_model.h"

namespace monsoon {
namespace {

// A model's name as a part of a file's: "mlp:500,500" is "mlp-500-500".
std::string FileName(std::string name) {
  for (char& c : name) {
    if (!absl::ascii_isalnum(c)) c = '-';
  }
  return name;
}

std::string NewPath(const Options& options, absl::Time now, uint16_t random) {
  return JoinPath(
      "runs",
      absl::StrCat(absl::FormatTime("%Y%m%d-%H%M%S", now, absl::UTCTimeZone()),
                   "-", options.trainer, "-", FileName(options.model), "-b",
                   options.batch_size, "-", absl::StrFormat("%04x", random)));
}

}  // namespace

absl::StatusOr<RunFolder> RunFolder::Plan(const Options& options,
                                          FileSystem& files, absl::Time now,
                                          uint16_t random) {
  const std::string path =
      options.out.empty() ? NewPath(options, now, random) : options.out;
  if (files.Exists(JoinPath(path, "summary.json"))) {
    return absl::InvalidArgumentError(
        absl::StrCat("--out ", path,
                     ": found summary.json of a finished run, expected a new "
                     "or empty folder; name another, or delete this one"));
  }
  ASSIGN_OR_RETURN(std::string config, ConfigText(options));
  return RunFolder(path, std::move(config), files);
}

absl::Status RunFolder::Make() {
  if (made_) return absl::OkStatus();
  RETURN_IF_ERROR(files_->MakeFolder(JoinPath(path_, "logs")));
  RETURN_IF_ERROR(files_->MakeFolder(JoinPath(path_, "checkpoints")));
  RETURN_IF_ERROR(files_->Write(JoinPath(path_, "config.toml"), config_));
  // A run that was cut short may have left its metrics here.
  RETURN_IF_ERROR(files_->Write(JoinPath(path_, "metrics.jsonl"), ""));
  made_ = true;
  return absl::OkStatus();
}

absl::Status RunFolder::AddMetrics(const ProgressSample& sample) {
  RETURN_IF_ERROR(Make());
  nlohmann::ordered_json line;
  line["elapsed_s"] = sample.elapsed_s;
  line["samples"] = sample.samples;
  line["loss"] = sample.loss;  // NaN becomes null
  line["samples_per_s"] = sample.samples_per_s;
  return files_->Append(JoinPath(path_, "metrics.jsonl"), line.dump() + "\n");
}

absl::Status RunFolder::WriteModel(const Options& options,
                                   const ParameterLayout& layout,
                                   absl::Span<const Flat> members) {
  RETURN_IF_ERROR(Make());
  return files_->Write(
      JoinPath(path_, "checkpoints/final.safetensors"),
      EncodeModel(layout, members,
                  {{"model", options.model}, {"trainer", options.trainer}}));
}

absl::Status RunFolder::WriteSummary(const std::string& json) {
  RETURN_IF_ERROR(Make());
  return files_->Write(JoinPath(path_, "summary.json"), json + "\n");
}

}  // namespace monsoon
