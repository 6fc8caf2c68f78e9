// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/filesystem.h"
#include "watch/http.h"
#include "watch/job_settings.h"
#include "watch/run_points.h"

namespace monsoon {

// The URL of an MLflow server, without a slash at its end. INVALID_ARGUMENT
// when it is none, has a name or password in it (which it does not repeat), or
// a query.
absl::StatusOr<std::string> ParseMlflowUrl(absl::string_view text);

// What a run is called when it begins. A value.
struct MlflowNames {
  std::string run;      // "20261122-101500-adag-mlp-b64-0f3a"
  std::string user;     // whose it is
  std::string program;  // "monsoon train"
};

// A run of an MLflow server, call by call: each is one attempt. UNAVAILABLE:
// worth another (no reply, 408, 429, 5xx); any other error is the server's last
// word. For one thread.
class MlflowClient {
 public:
  // The most that one call of SendMetrics or SendParams may hold.
  static constexpr size_t kMostMetrics = 1000;
  static constexpr size_t kMostParams = 100;

  // `url` as ParseMlflowUrl has it. Files and `give_up` outlive it.
  MlflowClient(std::string url, std::unique_ptr<HttpCalls> http,
               FileSystem& files, const std::atomic<bool>& give_up);

  // The id of the experiment of that name, which is made if there is none.
  absl::StatusOr<std::string> Experiment(const std::string& name);
  // Begins the run that all other calls are about.
  absl::Status CreateRun(const std::string& experiment,
                         const MlflowNames& names, absl::Time start);
  bool has_run() const { return !run_.empty(); }
  absl::Status SendParams(absl::Span<const JobSetting> params);
  absl::Status SendMetrics(absl::Span<const RunPoint> points);
  // FINISHED, FAILED or KILLED.
  absl::Status EndRun(const std::string& status, absl::Time end);
  // Stores the file at `path` as `name` ("checkpoints/final.safetensors"):
  // through the server, or beside it when both are on this machine.
  // FAILED_PRECONDITION when it keeps artifacts elsewhere.
  absl::Status SendArtifact(const std::string& path, const std::string& name);

 private:
  // Of the tracking interface; the reply's object.
  absl::StatusOr<nlohmann::json> Call(const std::string& method,
                                      const std::string& path,
                                      const nlohmann::json& body);
  absl::StatusOr<HttpReply> Ask(const HttpRequest& request);
  absl::Status Copy(const std::string& path, const std::string& to);

  const std::string url_;
  const std::unique_ptr<HttpCalls> http_;
  FileSystem& files_;
  const std::atomic<bool>& give_up_;
  std::string run_, artifacts_;  // id, and where its files go
};

}  // namespace monsoon
