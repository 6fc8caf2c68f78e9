// SPDX-License-Identifier: Apache-2.0
#include "worker/summary.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace monsoon {
namespace {

using Json = nlohmann::ordered_json;
using Catch::Contains;

pb::WorkerReport Report(int64_t pid, int64_t peak) {
  pb::WorkerReport report;
  report.set_state(pb::DONE);
  report.set_samples(50);
  report.set_steps(10);
  report.set_pushes(4);
  report.set_pulls(5);
  report.set_bytes_up(400);
  report.set_bytes_down(500);
  report.set_loss_sum(25);
  report.set_loss_samples(50);
  report.set_startup_s(0.25);
  report.set_host("here");
  report.set_pid(pid);
  report.set_peak_rss_bytes(peak);
  return report;
}

// Two workers in one process with server 0, one in another.
JobOutcome ThreeWorkers() {
  JobOutcome outcome;
  outcome.options.trainer = "adag";
  outcome.options.data = "fashion-mnist:/some/where";
  outcome.options.workers = 3;
  CHECK(ResolveOptions(outcome.options).ok());
  pb::JobStatus& status = outcome.status;
  status.set_elapsed_s(2);
  status.set_host("here");
  status.set_pid(1);
  status.set_peak_rss_bytes(1000);
  for (const int rank : {0, 1, 2}) {
    pb::Member& member = *status.add_members();
    member.set_worker(rank);
    *member.mutable_report() = Report(rank == 2 ? 2 : 1, 1000 + rank);
  }
  status.mutable_members(1)->mutable_report()->set_startup_s(0.75);
  auto& first = *status.mutable_members(0)->mutable_report();
  (*first.mutable_staleness())[0] = 10;
  auto& second = *status.mutable_members(1)->mutable_report();
  (*second.mutable_staleness())[0] = 8;
  (*second.mutable_staleness())[3] = 2;
  return outcome;
}

TEST_CASE("The summary has the published names in their order",
          "[worker][summary]") {
  const JobOutcome outcome = ThreeWorkers();
  const Json json = Summarize({.outcome = outcome});
  std::vector<std::string> names;
  for (const auto& [name, value] : json.items()) names.push_back(name);
  CHECK(names == std::vector<std::string>{"trainer",
                                          "model",
                                          "data",
                                          "batch_size",
                                          "workers",
                                          "servers",
                                          "epochs",
                                          "seed",
                                          "transport",
                                          "device",
                                          "server_device",
                                          "optimizer",
                                          "lr",
                                          "hyper",
                                          "precision",
                                          "wire",
                                          "overlap",
                                          "max_lead",
                                          "max_staleness",
                                          "samples",
                                          "samples_refused",
                                          "elapsed_s",
                                          "samples_per_s",
                                          "startup_s",
                                          "peak_rss_bytes",
                                          "steps",
                                          "pushes",
                                          "pulls",
                                          "bytes_up",
                                          "bytes_down",
                                          "staleness_mean",
                                          "staleness_p95",
                                          "staleness",
                                          "train_loss",
                                          "test_loss",
                                          "test_acc",
                                          "time_to",
                                          "status",
                                          "curve"});
}

TEST_CASE("The summary adds the workers up", "[worker][summary]") {
  const JobOutcome outcome = ThreeWorkers();
  pb::JobStatus other;
  other.set_host("here");
  other.set_pid(3);
  other.set_peak_rss_bytes(5000);
  const Evaluation test{.loss = 0.5, .accuracy = 0.875};
  const Json json =
      Summarize({.outcome = outcome, .test = &test, .servers = {other}});
  CHECK(json["data"] == "fashion-mnist");
  CHECK(json["precision"] == "fp32");
  CHECK(json["samples"] == 150);
  CHECK(json["samples_per_s"] == 75.0);
  CHECK(json["startup_s"] == 0.75);
  CHECK(json["steps"] == 30);
  CHECK(json["pushes"] == 12);
  CHECK(json["pulls"] == 15);
  CHECK(json["bytes_up"] == 1200);
  CHECK(json["bytes_down"] == 1500);
  CHECK(json["train_loss"] == 0.5);
  CHECK(json["test_loss"] == 0.5);
  CHECK(json["test_acc"] == 0.875);
  // Processes 1 (two workers and a server), 2 and 3, each once.
  CHECK(json["peak_rss_bytes"] == 1001 + 1002 + 5000);
  CHECK(json["staleness_mean"] == Approx(6.0 / 20));
  CHECK(json["staleness_p95"] == 3);
  CHECK(json["staleness"]["workers"]["1"] == Json({{"0", 8}, {"3", 2}}));
  CHECK(json["hyper"]["window"].is_number_integer());
  CHECK(json["time_to"].is_null());
  CHECK(json["status"] == "done");
  CHECK_THAT(DescribeSummary(json),
             Contains("150 samples") && Contains("test accuracy 0.8750"));
}

TEST_CASE("What is not a finite number is null", "[worker][summary]") {
  JobOutcome outcome = ThreeWorkers();
  outcome.status.set_elapsed_s(0);
  for (pb::Member& member : *outcome.status.mutable_members()) {
    member.mutable_report()->set_loss_sum(
        std::numeric_limits<double>::infinity());
  }
  const Evaluation test{.loss = std::nan(""), .accuracy = 0.1};
  const Json json = Summarize({.outcome = outcome, .test = &test});
  CHECK(json["samples_per_s"].is_null());
  CHECK(json["train_loss"].is_null());
  CHECK(json["test_loss"].is_null());
  CHECK(Json::parse(json.dump()) == json);
  CHECK_THAT(DescribeSummary(json), Contains("Train loss unknown"));
}

TEST_CASE(
    "Staleness is null for a trainer that pushes nothing, else 0 without "
    "pushes",
    "[worker][summary]") {
  JobOutcome outcome;
  REQUIRE(ResolveOptions(outcome.options).ok());
  CHECK(Summarize({.outcome = outcome})["staleness_mean"] == 0.0);
  CHECK(Summarize({.outcome = outcome})["staleness_p95"] == 0);
  JobOutcome alone;
  alone.options.trainer = "single";
  REQUIRE(ResolveOptions(alone.options).ok());
  CHECK(Summarize({.outcome = alone})["staleness_mean"].is_null());
  CHECK(Summarize({.outcome = alone})["staleness_p95"].is_null());
}

TEST_CASE("A job that failed before it began has a summary as well",
          "[worker][summary]") {
  JobOutcome nothing;
  const Json json = Summarize({.outcome = nothing, .state = RunState::kFailed});
  CHECK(json["status"] == "failed");
  CHECK(json["samples"] == 0);
  CHECK(json["train_loss"].is_null());
}

TEST_CASE("A job ended as its first worker said that did not get to its end",
          "[worker][summary]") {
  JobOutcome outcome = ThreeWorkers();
  CHECK(StateOf(outcome.status) == RunState::kDone);
  outcome.status.mutable_members(1)->mutable_report()->set_state(pb::RUNNING);
  CHECK(StateOf(outcome.status) == RunState::kFailed);
  outcome.status.set_stop_state(pb::INTERRUPTED);
  CHECK(StateName(StateOf(outcome.status)) == "interrupted");
  outcome.status.set_stop_state(pb::DIVERGED);
  CHECK(StateName(StateOf(outcome.status)) == "diverged");
  outcome.status.set_stop_state(pb::FAILED);
  CHECK(StateName(StateOf(outcome.status)) == "failed");
}

}  // namespace
}  // namespace monsoon
