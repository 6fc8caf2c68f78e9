// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "base/clock.h"
#include "base/event.h"
#include "watch/http_server.h"
#include "watch/live_state.h"
#include "watch/observer.h"

namespace monsoon {

// Shows a run to browsers and to Prometheus over HTTP, from when it is opened
// until it goes; docs/watching.md has the paths. Observers' calls cost the run
// a copy of the view a few times a second; all else happens on threads of the
// HttpServer. Thread-safe.
class LivePage final : public Observer {
 public:
  // More who follow the events at once are answered with 503; beside them
  // there is always room for short requests.
  static constexpr int kMostReaders = HttpServer::kMostConnections / 2;

  // What is shown: a run until it has its summary, or a server with one job
  // after the other.
  enum class Of { kRun, kServer };

  // Listens at HOST:PORT. The errors name --http: INVALID_ARGUMENT for an
  // address that cannot be one, UNAVAILABLE for a port that cannot be had. The
  // clock outlives it.
  static absl::StatusOr<std::unique_ptr<LivePage>> Open(
      const std::string& address, const std::string& program, Clock& clock,
      Of of = Of::kRun);
  // Whoever follows the events gets the last one, within half a second.
  ~LivePage() override;

  // Where a browser finds it: "http://127.0.0.1:43123/".
  std::string url() const;
  // The process does what it is for, without a job: from now on it is ready. (A
  // run is ready once its job has begun.)
  void SetReady() { is_ready_ = true; }

  void See(const JobView& view, bool is_last) override;
  void End(const RunEnd& end) override;

 private:
  class Reader;

  LivePage(const std::string& program, Clock& clock, Of of);

  // As it is now, and a number that is another whenever the state is.
  std::pair<LiveState, uint64_t> Now() const;
  // What /api/status says of it.
  std::string Status() const;
  HttpAnswer Answer(const std::string& path);
  HttpAnswer Events();
  HttpAnswer Readiness() const;

  Clock& clock_;
  const std::string page_;
  const std::unique_ptr<Event> end_;  // nothing new comes any more
  std::atomic<bool> is_ready_ = false;
  std::atomic<int> readers_ = 0;
  // Of the watcher's thread.
  absl::Time next_ = absl::InfinitePast();
  double rates_every_s_ = 0;
  mutable absl::Mutex mu_;
  LiveState state_ ABSL_GUARDED_BY(mu_);
  uint64_t version_ ABSL_GUARDED_BY(mu_) = 1;
  // The text of one version, made when somebody asks for it.
  mutable absl::Mutex text_mu_ ABSL_ACQUIRED_BEFORE(mu_);
  mutable std::string text_ ABSL_GUARDED_BY(text_mu_);
  mutable uint64_t text_version_ ABSL_GUARDED_BY(text_mu_) = 0;
  std::unique_ptr<HttpServer> server_;  // goes before what it answers from
};

}  // namespace monsoon
