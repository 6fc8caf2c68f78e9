// SPDX-License-Identifier: Apache-2.0
#include "watch/watcher.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <string>

#include "watch/progress_lines.h"

namespace monsoon {
namespace {

pb::JobStatus Status(int64_t first, int64_t second) {
  pb::JobStatus status;
  status.set_job_id(7);
  status.set_elapsed_s(2);
  status.mutable_spec()->set_trainer("adag");
  status.mutable_spec()->set_samples(100);
  (*status.mutable_spec()->mutable_settings())["epochs"] = "3";
  for (const int64_t samples : {first, second}) {
    pb::WorkerReport& report = *status.add_members()->mutable_report();
    report.set_samples(samples);
    report.set_loss_samples(samples);
    report.set_loss_sum(0.5 * static_cast<double>(samples));
  }
  return status;
}

// A server of which only the state of the job is asked.
class Observed : public ServerCalls {
 public:
  explicit Observed(pb::JobStatus status) : status_(std::move(status)) {}
  absl::Status GetJob(const pb::GetJobRequest&, pb::JobStatus& reply) override {
    reply = status_;
    return absl::OkStatus();
  }
  absl::Status Join(const pb::JoinRequest&, pb::JoinReply&) override {
    return absl::UnimplementedError("not asked");
  }
  absl::Status Report(const pb::ReportRequest&, pb::ReportReply&) override {
    return absl::UnimplementedError("not asked");
  }
  void Exchange(ExchangeCall&) override {}
  void Cancel(ExchangeCall&) override {}

 private:
  const pb::JobStatus status_;
};

TEST_CASE("The live line fits every terminal", "[watch]") {
  const ProgressSample sample = SampleOf(Status(80, 70));
  CHECK(LiveLine(sample, 100) ==
        "adag  epoch 2/3  50%  75 samples/s  loss 0.5000  eta 2 s"
        "  elapsed 2.0 s");
  for (const int columns : {1, 2, 20, 80}) {
    CHECK(static_cast<int>(LiveLine(sample, columns).size()) <=
          std::max(1, columns - 1));
  }
}

TEST_CASE("Plain lines have stable keys", "[watch]") {
  CHECK(PlainLine(SampleOf(Status(80, 70))) ==
        "trainer=adag epoch=2/3 samples=150/300 elapsed_s=2.0 "
        "samples_per_s=75 loss=0.5000 eta_s=2.0");
}

class Counting final : public Observer {
 public:
  void See(const JobView& view, bool is_last) override {
    samples = view.progress.samples;
    ++(is_last ? last : others);
  }
  int64_t samples = 0;
  int last = 0, others = 0;
};

TEST_CASE("The last state is told once, and no other job's", "[watch]") {
  Observed server(Status(150, 150));
  Counting observer;
  Watcher watcher({&server}, 7, RealClock(), {&observer});
  watcher.Stop();
  watcher.Stop();
  CHECK(observer.samples == 300);
  CHECK(observer.last == 1);
  Counting of_other;
  Watcher({&server}, 8, RealClock(), {&of_other}).Stop();
  CHECK(of_other.last == 0);
}

// It hangs, and then the call's deadline is over.
class Hanging final : public Observed {
 public:
  Hanging() : Observed(pb::JobStatus()) {}
  absl::Status GetJob(const pb::GetJobRequest&, pb::JobStatus&) override {
    ++asked;
    RealClock().NewEvent()->Wait(RealClock().Now() + absl::Milliseconds(1200));
    return absl::DeadlineExceededError("no answer");
  }
  std::atomic<int> asked = 0;
};

TEST_CASE("A server that hangs is left alone, and the end does not wait for it",
          "[watch]") {
  Observed first(Status(150, 150));
  Hanging second;
  Counting observer;
  Watcher watcher({&first, &second}, 7, RealClock(), {&observer});
  RealClock().NewEvent()->Wait(RealClock().Now() + absl::Milliseconds(1600));
  watcher.Stop();
  CHECK(second.asked == 1);
  CHECK(observer.others > 0);
  CHECK(observer.last == 1);
}

TEST_CASE("Where there is no terminal the last state is a line", "[watch]") {
  Observed server(Status(150, 150));
  std::FILE* const out = std::tmpfile();
  REQUIRE(out != nullptr);
  ProgressLines lines(out, RealClock());
  Watcher({&server}, 0, RealClock(), {&lines}).Stop();
  std::rewind(out);
  char text[512] = {};
  const size_t size = std::fread(text, 1, sizeof(text) - 1, out);
  std::fclose(out);
  CHECK(std::string(text, size) ==
        PlainLine(SampleOf(Status(150, 150))) + "\n");
}

}  // namespace
}  // namespace monsoon
