// SPDX-License-Identifier: Apache-2.0
#include "worker/progress.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <string>

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
class Observed final : public ServerCalls {
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

TEST_CASE("Progress adds the workers up", "[worker][progress]") {
  const ProgressSample sample = SampleOf(Status(80, 70));
  CHECK(sample.samples == 150);
  CHECK(sample.total == 300);
  CHECK(sample.epoch == 2);
  CHECK(sample.epochs == 3);
  CHECK(sample.loss == 0.5);
  CHECK(sample.samples_per_s == 75);
  CHECK(sample.eta_s == 2);
  CHECK(SampleOf(Status(150, 150)).epoch == 3);
  CHECK(std::isnan(SampleOf(Status(0, 0)).loss));
}

TEST_CASE("The live line fits every terminal", "[worker][progress]") {
  const ProgressSample sample = SampleOf(Status(80, 70));
  CHECK(LiveLine(sample, 100) ==
        "adag  epoch 2/3  50%  75 samples/s  loss 0.5000  eta 2 s"
        "  elapsed 2.0 s");
  for (const int columns : {1, 2, 20, 80}) {
    CHECK(static_cast<int>(LiveLine(sample, columns).size()) <=
          std::max(1, columns - 1));
  }
}

TEST_CASE("Plain lines have stable keys", "[worker][progress]") {
  CHECK(PlainLine(SampleOf(Status(80, 70))) ==
        "trainer=adag epoch=2/3 samples=150/300 elapsed_s=2.0 "
        "samples_per_s=75 loss=0.5000 eta_s=2.0");
}

TEST_CASE("The last state is shown and reported, of no other job",
          "[worker][progress]") {
  Observed server(Status(150, 150));
  std::FILE* const out = std::tmpfile();
  REQUIRE(out != nullptr);
  int64_t reported = 0;
  int64_t of_other = 0;
  Progress(server, 7, RealClock(), {.out = out}, [&](const auto& sample) {
    reported = sample.samples;
  }).Stop();
  Progress(server, 8, RealClock(), {.out = out}, [&](const auto& sample) {
    of_other = sample.samples;
  }).Stop();
  CHECK(reported == 300);
  CHECK(of_other == 0);
  std::rewind(out);
  char text[512] = {};
  const size_t size = std::fread(text, 1, sizeof(text) - 1, out);
  std::fclose(out);
  CHECK(std::string(text, size) ==
        PlainLine(SampleOf(Status(150, 150))) + "\n");
}

}  // namespace
}  // namespace monsoon
