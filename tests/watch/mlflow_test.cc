// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <deque>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/base/temporary_folder.h"
#include "watch/mlflow_client.h"
#include "watch/mlflow_run.h"

namespace monsoon {
namespace {

using Json = nlohmann::json;

TEST_CASE("The address of an MLflow server is checked", "[watch]") {
  CHECK(*ParseMlflowUrl("http://127.0.0.1:5000") == "http://127.0.0.1:5000");
  CHECK(*ParseMlflowUrl("https://a.b/mlflow/") == "https://a.b/mlflow");
  CHECK(*ParseMlflowUrl("http://[::1]:80") == "http://[::1]:80");
  CHECK(ParseMlflowUrl("http://[::1]").ok());
  for (const char* bad :
       {"", "localhost:5000", "ftp://a", "file:///a", "http://", "http:///a",
        "http://:5000", "http://a:0", "http://a:x", "http://a:70000",
        "http://a b", "http://a?b=c", "http://a#b"}) {
    INFO(bad);
    const auto url = ParseMlflowUrl(bad);
    REQUIRE(absl::IsInvalidArgument(url.status()));
    CHECK(absl::StrContains(url.status().message(), "--mlflow"));
    CHECK(absl::StrContains(url.status().message(), "expected"));
  }
  for (const char* secret :
       {"http://me:hidden@a", "me:hidden@a", "ftp://me:hidden@a"}) {
    const auto url = ParseMlflowUrl(secret);
    REQUIRE(absl::IsInvalidArgument(url.status()));
    CHECK_FALSE(absl::StrContains(url.status().message(), "hidden"));
  }
}

// Answers in turn, and keeps what it was asked.
class Answers final : public HttpCalls {
 public:
  Answers(std::deque<HttpReply> replies, std::vector<HttpRequest>& asked)
      : replies_(std::move(replies)), asked_(asked) {}

  absl::StatusOr<HttpReply> Call(const HttpRequest& request,
                                 const std::atomic<bool>&) override {
    asked_.push_back(request);
    if (replies_.empty()) return absl::UnavailableError("nobody is there");
    const HttpReply reply = replies_.front();
    replies_.pop_front();
    return reply;
  }

 private:
  std::deque<HttpReply> replies_;
  std::vector<HttpRequest>& asked_;
};

// A client, what it was answered, and what it has asked.
struct Fixture {
  explicit Fixture(std::deque<HttpReply> replies,
                   const std::string& url = "http://127.0.0.1:5000")
      : client(url, std::make_unique<Answers>(std::move(replies), asked),
               RealFileSystem(), give_up) {}

  absl::Status CreateRun() {
    return client.CreateRun(
        "7", {.run = "first", .user = "me", .program = "monsoon train"},
        absl::FromUnixMillis(1'700'000'000'123));
  }

  std::vector<HttpRequest> asked;
  std::atomic<bool> give_up{false};
  MlflowClient client;
};

HttpReply RunAt(const std::string& artifacts) {
  return {200, absl::StrCat(R"({"run": {"info": {"run_id": "r1",
                            "artifact_uri": ")",
                            artifacts, R"("}}})")};
}

const HttpReply kNone = {404, R"({"error_code": "RESOURCE_DOES_NOT_EXIST"})"};
const HttpReply kFound = {200, R"({"experiment": {"experiment_id": "7"}})"};

TEST_CASE("An experiment is found, made, or made by somebody else", "[watch]") {
  Fixture found({kFound});
  CHECK(*found.client.Experiment("my runs/é") == "7");
  CHECK(found.asked[0].method == "GET");
  CHECK(found.asked[0].url ==
        "http://127.0.0.1:5000/api/2.0/mlflow/experiments/"
        "get-by-name?experiment_name=my%20runs%2F%C3%A9");

  Fixture made({kNone, {200, R"({"experiment_id": "8"})"}});
  CHECK(*made.client.Experiment("e") == "8");
  CHECK(Json::parse(made.asked[1].body) == Json({{"name", "e"}}));

  const HttpReply there = {400, R"({"error_code": "RESOURCE_ALREADY_EXISTS"})"};
  Fixture raced({kNone, there, kFound});
  CHECK(*raced.client.Experiment("e") == "7");
  CHECK(raced.asked.size() == 3);
}

TEST_CASE("A run is told as MLflow's interface has it", "[watch]") {
  Fixture fixture({RunAt("mlflow-artifacts:/7/r1/artifacts"),
                   {200, "{}"},
                   {200, "{}"},
                   {200, "{}"}});
  REQUIRE(fixture.CreateRun().ok());
  CHECK(fixture.client.has_run());
  const Json create = Json::parse(fixture.asked[0].body);
  CHECK(create["experiment_id"] == "7");
  CHECK(create["run_name"] == "first");
  CHECK(create["start_time"] == 1'700'000'000'123);
  CHECK(create["tags"] ==
        Json::parse(R"([{"key": "mlflow.runName", "value": "first"},
                        {"key": "mlflow.user", "value": "me"},
                        {"key": "mlflow.source.name", "value": "monsoon train"},
                        {"key": "mlflow.source.type", "value": "LOCAL"}])"));

  const std::vector<JobSetting> params = {{"lr", "0.05"},
                                          {"long", std::string(600, 'x')}};
  REQUIRE(fixture.client.SendParams(params).ok());
  const Json sent = Json::parse(fixture.asked[1].body);
  CHECK(sent["run_id"] == "r1");
  CHECK(sent["params"][0] == Json({{"key", "lr"}, {"value", "0.05"}}));
  CHECK(sent["params"][1]["value"].get<std::string>().size() == 500);
  CHECK(absl::EndsWith(fixture.asked[1].url, "/runs/log-batch"));

  const std::vector<RunPoint> points = {
      {"train/loss", 0.5, 1280, absl::FromUnixMillis(1'700'000'001'500)}};
  REQUIRE(fixture.client.SendMetrics(points).ok());
  CHECK(Json::parse(fixture.asked[2].body) ==
        Json::parse(R"({"run_id": "r1", "metrics": [{"key": "train/loss",
             "value": 0.5, "timestamp": 1700000001500, "step": 1280}]})"));

  REQUIRE(fixture.client.EndRun("KILLED", absl::FromUnixMillis(9)).ok());
  CHECK(Json::parse(fixture.asked[3].body) ==
        Json::parse(R"({"run_id": "r1", "status": "KILLED", "end_time": 9})"));
}

TEST_CASE("What another attempt may mend is told from what it may not",
          "[watch]") {
  for (const int code : {408, 429, 500, 503}) {
    Fixture fixture({{code, "busy"}});
    CHECK(absl::IsUnavailable(fixture.CreateRun()));
  }
  for (const int code : {301, 302, 400, 401, 403, 404}) {
    Fixture fixture({{code, "<html>\nno"}});
    const absl::Status status = fixture.CreateRun();
    CHECK(absl::IsFailedPrecondition(status));
    CHECK(absl::StrContains(status.message(), absl::StrCat(code)));
    CHECK_FALSE(absl::StrContains(status.message(), "\n"));
    CHECK_FALSE(fixture.client.has_run());
  }
  for (const char* odd :
       {"<html>", "[]", "{}", R"({"run": {}})", R"({"run": null})",
        R"({"run": {"info": []}})", R"({"run": {"info": {"run_id": 7}}})"}) {
    Fixture fixture({{200, odd}});
    CHECK(absl::IsFailedPrecondition(fixture.CreateRun()));
  }
  Fixture nobody({});
  CHECK(absl::IsUnavailable(nobody.CreateRun()));
}

TEST_CASE("Files go through the server, or beside it on this machine",
          "[watch]") {
  const TemporaryFolder folder;
  REQUIRE(RealFileSystem().Write(folder.At("model"), "weights").ok());
  Fixture proxied({RunAt("mlflow-artifacts:/7/r1/artifacts"), {200, "{}"}});
  REQUIRE(proxied.CreateRun().ok());
  REQUIRE(proxied.client.SendArtifact(folder.At("model"), "a b/m").ok());
  CHECK(proxied.asked[1].method == "PUT");
  CHECK(proxied.asked[1].file == folder.At("model"));
  CHECK(proxied.asked[1].url ==
        "http://127.0.0.1:5000/api/2.0/mlflow-artifacts/artifacts/7/r1/"
        "artifacts/a%20b/m");

  const std::string beside = folder.At("7/r1/artifacts");
  Fixture local({RunAt(beside)});
  REQUIRE(local.CreateRun().ok());
  REQUIRE(local.client.SendArtifact(folder.At("model"), "x/model").ok());
  CHECK(local.asked.size() == 1);
  CHECK(*RealFileSystem().Read(JoinPath(beside, "x/model")) == "weights");

  const std::string elsewhere[] = {"s3://bucket/7/r1/artifacts",
                                   folder.At("none/7/r1/artifacts"),
                                   "mlflow-artifacts://other:5000/7/r1", ""};
  for (const std::string& uri : elsewhere) {
    Fixture fixture({RunAt(uri), {200, "{}"}});
    REQUIRE(fixture.CreateRun().ok());
    CHECK(absl::IsFailedPrecondition(
        fixture.client.SendArtifact(folder.At("model"), "model")));
    CHECK(fixture.asked.size() == 1);
  }
  // The same path on another machine is another folder.
  Fixture remote({RunAt(beside)}, "http://mlflow.example.org");
  REQUIRE(remote.CreateRun().ok());
  CHECK(absl::IsFailedPrecondition(
      remote.client.SendArtifact(folder.At("model"), "model")));
}

// ---- The observer ----------------------------------------------------------

// A server that answers once it is up.
class Switched final : public HttpCalls {
 public:
  absl::StatusOr<HttpReply> Call(const HttpRequest& request,
                                 const std::atomic<bool>&) override {
    if (!is_up) return absl::UnavailableError("nobody is there");
    if (absl::StrContains(request.url, "get-by-name")) return kFound;
    if (absl::StrContains(request.url, "runs/create")) return RunAt("s3://x");
    const Json body = Json::parse(request.body);
    if (body.contains("status")) status = body["status"];
    const Json metrics = body.value("metrics", Json::array());
    largest = std::max(largest, metrics.size());
    for (const Json& one : metrics) {
      if (one["key"] == "train/loss") steps.push_back(one["step"]);
      ++points;
    }
    return HttpReply{200, "{}"};
  }

  std::atomic<bool> is_up{false};
  // Of the thread that calls, until the run has ended.
  size_t points = 0, largest = 0;
  std::vector<int64_t> steps;
  std::string status;
};

// As many points as the queue holds, and a thousand more.
int64_t SeeTooMuch(MlflowRun& run) {
  JobView view;
  view.spec.set_trainer("adag");
  view.progress.loss = 1;
  view.wall = absl::Now();
  const int64_t views = MlflowRun::kMostWaiting / 3 + 1000;
  for (int64_t i = 1; i <= views; ++i) {
    view.progress.samples = i;
    run.See(view, /*is_last=*/true);
  }
  return views;
}

TEST_CASE("A server that comes late gets the newest points, in batches",
          "[watch]") {
  auto http = std::make_unique<Switched>();
  Switched& server = *http;
  std::vector<std::string> said;  // read when the thread that says is done
  MlflowRun run(
      {.url = "http://a", .experiment = "e"}, std::move(http),
      [&said](const std::string& what) { said.push_back(what); }, RealClock(),
      RealFileSystem());
  const int64_t views = SeeTooMuch(run);
  server.is_up = true;
  const nlohmann::ordered_json summary = {{"status", "diverged"}};
  run.End({.summary = summary});
  CHECK(server.points == MlflowRun::kMostWaiting);
  REQUIRE_FALSE(said.empty());
  CHECK(said.back().find("not delivered") != std::string::npos);
  CHECK(server.largest == MlflowClient::kMostMetrics);
  REQUIRE_FALSE(server.steps.empty());
  CHECK(server.steps.back() == views);
  CHECK(server.steps.front() > 500);
  CHECK(server.status == "FAILED");
}

TEST_CASE("A run without an end has failed", "[watch]") {
  auto http = std::make_unique<Switched>();
  http->is_up = true;
  std::string status = "none";
  struct Kept final : public HttpCalls {
    Kept(std::unique_ptr<Switched> to, std::string& said)
        : server(std::move(to)), status(said) {}
    ~Kept() override { status = server->status; }
    absl::StatusOr<HttpReply> Call(const HttpRequest& request,
                                   const std::atomic<bool>& up) override {
      return server->Call(request, up);
    }
    std::unique_ptr<Switched> server;
    std::string& status;
  };
  {
    MlflowRun run(
        {.url = "http://a", .experiment = "e"},
        std::make_unique<Kept>(std::move(http), status),
        [](const std::string&) {}, RealClock(), RealFileSystem());
    SeeTooMuch(run);
  }
  CHECK(status == "FAILED");
}

}  // namespace
}  // namespace monsoon
