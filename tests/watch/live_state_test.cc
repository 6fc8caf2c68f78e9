// SPDX-License-Identifier: Apache-2.0
#include "watch/live_state.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace monsoon {
namespace {

using Json = nlohmann::ordered_json;

void FillWorkers(JobView& view) {
  for (const int rank : {0, 1}) {
    WorkerView worker;
    worker.member.set_worker(rank);
    pb::WorkerReport& report = *worker.member.mutable_report();
    report.set_samples(100 + rank);
    report.set_steps(10 + rank);
    report.set_compute_s(1.5);
    report.set_exchange_s(0.25);
    report.set_data_s(0.125);
    report.set_bytes_up(4000);
    report.set_bytes_down(5000);
    report.set_host("<b>\xff\"host\"");
    report.set_pid(41 + rank);
    worker.samples_per_s = rank == 0 ? 50 : WorkerView::kNone;
    worker.loss = rank == 0 ? 0.5 : WorkerView::kNone;
    view.workers.push_back(worker);
  }
  view.workers[1].is_silent = true;
}

void FillServers(JobView& view) {
  for (const int index : {0, 1}) {
    ServerView server;
    server.index = index;
    view.servers.push_back(server);
  }
  ServerView& server = view.servers[0];
  server.answers = true;
  server.updates = 12;
  server.status.set_job_id(7);
  *server.status.mutable_spec() = view.spec;
  auto& shards = *server.status.mutable_shard_staleness();
  (*shards[0].mutable_counts())[0] = 4;
  (*shards[0].mutable_counts())[3] = 2;
  (*shards[2].mutable_counts())[3] = 5;
  (*shards[2].mutable_counts())[65] = 1;
}

LiveState State() {
  auto view = std::make_shared<JobView>();
  view->job_id = 18'000'000'000'000'000'007U;
  view->spec.set_trainer("a\"d\\a\ng");
  view->spec.set_workers(2);
  view->spec.set_servers(2);
  (*view->spec.mutable_settings())["model"] = "mlp";
  for (const int server : {0, 1, 0}) {
    pb::Shard& shard = *view->spec.add_shards();
    shard.set_size(10 + server);
    shard.set_server(server);
  }
  view->progress = {.trainer = "adag",
                    .samples = 201,
                    .total = 400,
                    .epoch = 2,
                    .epochs = 4,
                    .elapsed_s = 4,
                    .samples_per_s = 50.25,
                    .loss = std::nan(""),
                    .eta_s = 3.96};
  view->losses = {{10, 2.5}, {20, 1.25}};
  view->wall = absl::FromUnixSeconds(1'700'000'000);
  FillWorkers(*view);
  FillServers(*view);
  LiveState state{.program = "monsoon train"};
  state.view = view;
  state.rates = {{1, 40}, {2, 60}};
  return state;
}

bool Has(const std::string& text, const std::string& line) {
  return absl::StrContains(absl::StrCat("\n", text),
                           absl::StrCat("\n", line, "\n"));
}

std::string Metrics(const LiveState& state) {
  return MetricsText(state, {.cpu_s = 2.5},
                     {.rss_bytes = 4096,
                      .open_files = 9,
                      .started = absl::FromUnixSeconds(1'600'000'000)});
}

TEST_CASE("The status says what is known and null for the rest", "[watch]") {
  const std::string text = StatusJson(State());
  CHECK_FALSE(absl::StrContains(text, "\n"));
  const Json json = Json::parse(text);
  CHECK(json["program"] == "monsoon train");
  CHECK(json["state"] == "running");
  CHECK(json["time"] == 1.7e9);
  CHECK(json["job"]["id"] == "18000000000000000007");
  CHECK(json["job"]["model"] == "mlp");
  CHECK(json["progress"]["samples"] == 201);
  CHECK(json["progress"]["loss"].is_null());
  CHECK(json["workers"][0]["samples_per_s"] == 50);
  CHECK(json["workers"][0]["host"] == "<b>\xef\xbf\xbd\"host\"");
  CHECK(json["workers"][1]["loss"].is_null());
  CHECK(json["workers"][1]["silent"] == true);
  CHECK(json["servers"][0]["parameters_bytes"] == 80);
  CHECK(json["servers"][0]["staleness"].dump() == R"({"0":4,"3":7,"65":1})");
  CHECK(json["servers"][1]["answers"] == false);
  CHECK(json["losses"].dump() == "[[10,2.5],[20,1.25]]");
  CHECK(json["rates"].dump() == "[[1.0,40.0],[2.0,60.0]]");
  CHECK(json["summary"].is_null());
}

TEST_CASE("A state has a word, from before the job to its end", "[watch]") {
  LiveState state = State();
  auto view = std::make_shared<JobView>(*state.view);
  const auto word = [&] {
    state.view = std::make_shared<JobView>(*view);
    return StateOf(state);
  };
  CHECK(StateOf({.program = "monsoon-server"}) == "waiting");
  CHECK(word() == "running");
  view->servers[0].status.set_over(true);
  CHECK(word() == "evaluating");
  state.is_server = true;
  CHECK(word() == "done");
  view->servers[0].status.set_stop_state(pb::DIVERGED);
  CHECK(word() == "diverged");
  state.is_server = false;
  state.summary =
      std::make_shared<Json>(Json{{"status", "interrupted"}, {"test_acc", 1}});
  CHECK(word() == "interrupted");
  CHECK(Json::parse(StatusJson(state))["summary"]["test_acc"] == 1);
}

TEST_CASE("Metrics have labels that are escaped, and no unknown numbers",
          "[watch]") {
  const std::string text = Metrics(State());
  const std::string trainer = R"(trainer="a\"d\\a\ng")";
  CHECK(Has(text, absl::StrCat("monsoon_train_samples_total{rank=\"1\",",
                               trainer, "} 101")));
  CHECK(Has(text,
            absl::StrCat("monsoon_train_loss{rank=\"0\",", trainer, "} 0.5")));
  CHECK_FALSE(absl::StrContains(text, "monsoon_train_loss{rank=\"1\""));
  CHECK_FALSE(absl::StrContains(text, "Nan"));
  CHECK(Has(text, "monsoon_worker_up{rank=\"0\"} 1"));
  CHECK(Has(text, "monsoon_worker_up{rank=\"1\"} 0"));
  CHECK(Has(text,
            "monsoon_worker_phase_seconds_total{rank=\"1\",phase=\"exchange\"}"
            " 0.25"));
  CHECK(Has(text, "monsoon_worker_sent_bytes_total{rank=\"0\"} 4000"));
  CHECK(Has(text, "monsoon_worker_received_bytes_total{rank=\"0\"} 5000"));
  CHECK(Has(text, "monsoon_server_parameters_bytes{server=\"0\"} 80"));
  CHECK(Has(text, "monsoon_server_updates_total{server=\"0\"} 12"));
  CHECK(Has(text, "monsoon_server_up{server=\"1\"} 0"));
  CHECK_FALSE(
      absl::StrContains(text, "monsoon_server_updates_total{server=\"1\""));
  CHECK_FALSE(absl::StrContains(text, "monsoon_eval_accuracy_ratio"));
}

TEST_CASE("The histogram of staleness is cumulative", "[watch]") {
  const std::string text = Metrics(State());
  const std::pair<const char*, int> buckets[] = {
      {"0", 4},   {"1", 4},   {"2", 4},   {"4", 11},   {"8", 11},
      {"16", 11}, {"32", 11}, {"64", 11}, {"+Inf", 12}};
  for (const auto& [bound, count] : buckets) {
    CHECK(Has(text, absl::StrCat("monsoon_server_staleness_updates_bucket{"
                                 "server=\"0\",le=\"",
                                 bound, "\"} ", count)));
  }
  CHECK(Has(text, "monsoon_server_staleness_updates_count{server=\"0\"} 12"));
  CHECK(Has(text, "monsoon_server_staleness_updates_sum{server=\"0\"} 86"));
}

TEST_CASE("The process is measured before there is a job", "[watch]") {
  const std::string text = Metrics({.program = "monsoon-server"});
  CHECK(Has(text, "process_cpu_seconds_total 2.5"));
  CHECK(Has(text, "process_resident_memory_bytes 4096"));
  CHECK(Has(text, "process_open_fds 9"));
  CHECK(Has(text, "process_start_time_seconds 1600000000"));
  CHECK_FALSE(absl::StrContains(text, "monsoon_train"));
  LiveState over = State();
  over.summary = std::make_shared<Json>(Json{{"test_acc", 0.875}});
  CHECK(
      Has(Metrics(over), "monsoon_eval_accuracy_ratio{split=\"test\"} 0.875"));
  over.summary = std::make_shared<Json>(Json{{"test_acc", nullptr}});
  CHECK_FALSE(absl::StrContains(Metrics(over), "monsoon_eval"));
}

TEST_CASE("This process is one that has just begun", "[watch]") {
  const ProcessUse use = UseOfThisProcess();
  CHECK(use.rss_bytes > 1 << 20);
  CHECK(use.open_files >= 3);
  CHECK(use.open_files < 100);
  CHECK(use.started < absl::Now() + absl::Seconds(2));
  CHECK(use.started > absl::Now() - absl::Minutes(10));
}

}  // namespace
}  // namespace monsoon
