// SPDX-License-Identifier: Apache-2.0
#include "worker/shard_link.h"

#include <array>
#include <catch2/catch.hpp>
#include <map>
#include <thread>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "base/clock.h"

namespace monsoon {
namespace {

// Answers an exchange with a shard when both workers have come to it. The first
// call of worker 1 is lost.
class Meeting final : public ServerCalls {
 public:
  absl::Status GetJob(const pb::GetJobRequest&, pb::JobStatus&) override {
    return absl::OkStatus();
  }
  absl::Status Join(const pb::JoinRequest&, pb::JoinReply&) override {
    return absl::OkStatus();
  }
  absl::Status Report(const pb::ReportRequest&, pb::ReportReply&) override {
    return absl::OkStatus();
  }
  void Exchange(ExchangeCall& call) override {
    ExchangeCall* other = nullptr;
    {
      absl::MutexLock lock(&mu_);
      if (call.request.worker() == 1 && !lost_) {
        lost_ = true;
      } else {
        ExchangeCall*& first = waiting_[call.request.shard()];
        if (first == nullptr) {
          first = &call;
          return;
        }
        other = std::exchange(first, nullptr);
      }
    }
    if (other == nullptr) {
      return call.Finish(absl::UnavailableError("lost"), {});
    }
    other->Finish(absl::OkStatus(), {});
    call.Finish(absl::OkStatus(), {});
  }
  void Cancel(ExchangeCall& call) override {
    {
      absl::MutexLock lock(&mu_);
      ExchangeCall*& first = waiting_[call.request.shard()];
      if (first != &call) return;
      first = nullptr;
    }
    call.Finish(absl::CancelledError("the caller left"), {});
  }

 private:
  absl::Mutex mu_;
  std::map<int, ExchangeCall*> waiting_;
  bool lost_ = false;
};

TEST_CASE("Workers that wait for each other meet after a lost call",
          "[worker]") {
  Meeting server;
  std::vector<ShardRange> shards;
  for (int64_t i = 0; i < 12; ++i) shards.push_back({.offset = i, .size = 1});
  std::array<absl::Status, 2> results;
  std::vector<std::thread> threads;
  for (int worker = 0; worker < 2; ++worker) {
    threads.emplace_back([&, worker] {
      ShardLink link({.servers = {&server},
                      .shards = shards,
                      .worker = worker,
                      .timeout = absl::Seconds(5)},
                     RealClock());
      results[static_cast<size_t>(worker)] = link.Push(Flat(12));
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const absl::Status& result : results) CHECK(result == absl::OkStatus());
}

}  // namespace
}  // namespace monsoon
