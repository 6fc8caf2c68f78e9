// SPDX-License-Identifier: Apache-2.0
#include "watch/mlflow_run.h"

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "watch/curl_http.h"

namespace monsoon {
namespace {

constexpr absl::Duration kSendEvery = absl::Seconds(1);
constexpr absl::Duration kFirstPause = absl::Milliseconds(500);
constexpr absl::Duration kLongestPause = absl::Seconds(30);
// Attempts that a call has once the run has ended: a server that is gone does
// not hold up the end.
constexpr int kLastAttempts = 2;

// What stays of a run, in the order in which it is sent.
constexpr const char* kFiles[] = {"config.toml", "summary.json",
                                  "metrics.jsonl",
                                  "checkpoints/final.safetensors"};

std::string MlflowStatus(const std::string& status) {
  if (status == "done") return "FINISHED";
  return status == "interrupted" ? "KILLED" : "FAILED";
}

std::string Variable(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// The last part of a path.
std::string NameOf(absl::string_view folder) {
  while (absl::ConsumeSuffix(&folder, "/")) continue;
  return std::string(folder.substr(folder.find_last_of('/') + 1));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Observer>> OpenMlflow(const std::string& url,
                                                     const std::string& program,
                                                     const std::string& folder,
                                                     Warn warn, Clock& clock,
                                                     FileSystem& files) {
  MlflowTarget target{.experiment = Variable("MLFLOW_EXPERIMENT_NAME"),
                      .names = {.run = NameOf(folder),
                                .user = Variable("USER"),
                                .program = program},
                      .folder = folder};
  ASSIGN_OR_RETURN(target.url, ParseMlflowUrl(url));
  if (target.experiment.empty()) target.experiment = "monsoon";
  if (target.names.user.empty()) target.names.user = "unknown";
  auto http = NewCurlHttp({.user = Variable("MLFLOW_TRACKING_USERNAME"),
                           .password = Variable("MLFLOW_TRACKING_PASSWORD"),
                           .token = Variable("MLFLOW_TRACKING_TOKEN")});
  return std::make_unique<MlflowRun>(std::move(target), std::move(http),
                                     std::move(warn), clock, files);
}

MlflowRun::MlflowRun(MlflowTarget target, std::unique_ptr<HttpCalls> http,
                     Warn warn, Clock& clock, FileSystem& files)
    : target_(std::move(target)),
      warn_(std::move(warn)),
      clock_(clock),
      files_(files),
      client_(target_.url, std::move(http), files, give_up_),
      end_(clock.NewEvent()),
      stop_(clock.NewEvent()),
      done_(clock.NewEvent()),
      thread_([this] { Run(); }) {}

MlflowRun::~MlflowRun() {
  if (!finished_) Finish("FAILED", /*has_files=*/false);
}

void MlflowRun::See(const JobView& view, bool is_last) {
  const absl::Time now = clock_.Now();
  if (!points_.IsDue(now, is_last)) return;
  const std::vector<RunPoint> points = points_.See(view, now);
  Post(points);
  absl::MutexLock lock(&mutex_);
  if (mailbox_.settings.has_value()) return;
  mailbox_.settings = SettingsOf(view.spec);
  mailbox_.start = points_.start();
}

void MlflowRun::Post(const std::vector<RunPoint>& points) {
  absl::MutexLock lock(&mutex_);
  std::deque<RunPoint>& waiting = mailbox_.points;
  waiting.insert(waiting.end(), points.begin(), points.end());
  while (waiting.size() > kMostWaiting) {
    waiting.pop_front();
    ++mailbox_.lost;
  }
}

void MlflowRun::End(const RunEnd& end) {
  Post(points_.End(end.summary));
  Finish(MlflowStatus(end.summary.value("status", "")), !end.folder.empty());
}

void MlflowRun::Finish(const std::string& status, bool has_files) {
  finished_ = true;
  {
    absl::MutexLock lock(&mutex_);
    mailbox_.status = status;
    mailbox_.end = points_.end();
    mailbox_.has_files = has_files;
  }
  const absl::Time latest = clock_.Now() + kLastInAll;
  int64_t delivered = delivered_;
  end_->Set();
  while (!done_->Wait(std::min(latest, clock_.Now() + kLast))) {
    const int64_t before = std::exchange(delivered, delivered_);
    if (delivered == before || clock_.Now() >= latest) break;
  }
  give_up_ = true;
  stop_->Set();
  thread_.join();
  SayLoss();
}

void MlflowRun::Run() {
  bool is_last = false;
  while (!is_last) {
    is_last = end_->Wait(clock_.Now() + kSendEvery);
    // Once the server has refused, nothing more is sent.
    if (!last_.ok() && !absl::IsUnavailable(last_)) break;
    last_ = Deliver(is_last);
    if (!last_.ok()) SayTrouble(last_);
  }
  done_->Set();
}

absl::Status MlflowRun::Deliver(bool is_last) {
  {
    absl::MutexLock lock(&mutex_);
    if (!mailbox_.settings.has_value()) return absl::OkStatus();
  }
  RETURN_IF_ERROR(BeginRun());
  RETURN_IF_ERROR(SendPoints());
  return is_last ? SendEnd() : absl::OkStatus();
}

absl::Status MlflowRun::BeginRun() {
  std::vector<JobSetting> settings;
  absl::Time start;
  {
    absl::MutexLock lock(&mutex_);
    settings = *mailbox_.settings;
    start = mailbox_.start;
  }
  if (!client_.has_run()) {
    std::string experiment;
    RETURN_IF_ERROR(Try([&] {
      ASSIGN_OR_RETURN(experiment, client_.Experiment(target_.experiment));
      return absl::OkStatus();
    }));
    RETURN_IF_ERROR(Try(
        [&] { return client_.CreateRun(experiment, target_.names, start); }));
  }
  while (params_sent_ < settings.size()) {
    const auto batch = absl::MakeConstSpan(settings).subspan(
        params_sent_, MlflowClient::kMostParams);
    RETURN_IF_ERROR(Try([&] { return client_.SendParams(batch); }));
    params_sent_ += batch.size();
  }
  return absl::OkStatus();
}

absl::Status MlflowRun::SendPoints() {
  while (true) {
    if (sending_.empty()) {
      absl::MutexLock lock(&mutex_);
      std::deque<RunPoint>& waiting = mailbox_.points;
      const auto count = static_cast<std::ptrdiff_t>(
          std::min(waiting.size(), MlflowClient::kMostMetrics));
      sending_.assign(waiting.begin(), waiting.begin() + count);
      waiting.erase(waiting.begin(), waiting.begin() + count);
    }
    if (sending_.empty()) return absl::OkStatus();
    RETURN_IF_ERROR(Try([&] { return client_.SendMetrics(sending_); }));
    sending_.clear();
  }
}

absl::Status MlflowRun::SendEnd() {
  std::string status;
  absl::Time end;
  bool has_files = false;
  {
    absl::MutexLock lock(&mutex_);
    status = mailbox_.status;
    end = mailbox_.end;
    has_files = mailbox_.has_files;
  }
  for (const char* name : kFiles) {
    if (has_files && files_.Exists(JoinPath(target_.folder, name))) {
      unsent_files_.push_back(name);
    }
  }
  RETURN_IF_ERROR(Try([&] { return client_.EndRun(status, end); }));
  is_ended_ = true;
  while (!unsent_files_.empty()) {
    const std::string& name = unsent_files_.front();
    const std::string path = JoinPath(target_.folder, name);
    RETURN_IF_ERROR(Try([&] { return client_.SendArtifact(path, name); }));
    unsent_files_.erase(unsent_files_.begin());
  }
  return absl::OkStatus();
}

absl::Status MlflowRun::Try(absl::FunctionRef<absl::Status()> call) {
  absl::Duration pause = kFirstPause;
  for (int attempt = 1;; ++attempt) {
    absl::Status status = call();
    if (status.ok()) ++delivered_;
    if (!absl::IsUnavailable(status)) return status;
    SayTrouble(status);
    const bool has_ended = end_->Wait(absl::InfinitePast());
    if (has_ended && attempt >= kLastAttempts) return status;
    Event& wakes = has_ended ? *stop_ : *end_;
    wakes.Wait(clock_.Now() + pause);
    if (give_up_) return status;
    pause = std::min(2 * pause, kLongestPause);
  }
}

void MlflowRun::SayTrouble(const absl::Status& status) {
  last_ = status;
  // What is said at the end is enough then.
  if (said_trouble_ || end_->Wait(absl::InfinitePast())) return;
  said_trouble_ = true;
  const bool is_worth_more = absl::IsUnavailable(status);
  warn_(absl::StrCat("--mlflow ", target_.url, ": ", status.message(),
                     is_worth_more ? "; the run goes on, and it is tried again"
                                   : "; the run goes on and is not tracked"));
}

void MlflowRun::SayLoss() {
  std::vector<std::string> lost;
  {
    absl::MutexLock lock(&mutex_);
    const auto points = mailbox_.lost +
                        static_cast<int64_t>(mailbox_.points.size()) +
                        static_cast<int64_t>(sending_.size());
    if (points > 0) lost.push_back(absl::StrCat(points, " points"));
    if (mailbox_.settings.has_value() && !is_ended_) {
      lost.push_back(client_.has_run() ? "the end of the run"
                                       : "the run itself");
    }
  }
  lost.insert(lost.end(), unsent_files_.begin(), unsent_files_.end());
  if (lost.empty()) return;
  warn_(absl::StrCat(
      "--mlflow ", target_.url, ": not delivered: ", absl::StrJoin(lost, ", "),
      " (", last_.ok() ? "more than the queue could hold" : last_.message(),
      ")"));
}

}  // namespace monsoon
