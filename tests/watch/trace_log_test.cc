// SPDX-License-Identifier: Apache-2.0
#include "watch/trace_log.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/base/temporary_folder.h"

namespace monsoon {
namespace {

using Json = nlohmann::json;

absl::Time At(double microseconds) {
  return absl::UnixEpoch() + absl::Microseconds(microseconds);
}

TraceSpan Compute(double begin, double end) {
  return {.kind = TraceKind::kCompute, .begin = At(begin), .end = At(end)};
}

// The events of a file with this phase.
std::vector<Json> Events(const std::string& path, const std::string& phase) {
  const Json trace = Json::parse(*RealFileSystem().Read(path));
  CHECK(trace["displayTimeUnit"] == "ms");
  std::vector<Json> found;
  for (const Json& event : trace["traceEvents"]) {
    if (event["ph"] == phase) found.push_back(event);
  }
  return found;
}

TEST_CASE("A trace is a file in Chrome's format", "[watch]") {
  const TemporaryFolder folder;
  const std::string path = JoinPath(folder.path(), "trace.json");
  const auto log = *TraceLog::Open(path, RealFileSystem());
  CHECK(Events(path, "X").empty());  // is there from the start
  log->OfWorker(1).Add(Compute(1'000'000.5, 1'000'002.75));
  log->OfWorker(1).Add({.kind = TraceKind::kPushPull,
                        .begin = At(3),
                        .end = At(7),
                        .shard = 4,
                        .server = 2,
                        .bytes_up = 10,
                        .bytes_down = 20,
                        .staleness = 3,
                        .version = 9});
  log->OfWorker(0).Add({.kind = TraceKind::kWait,
                        .is_beside = true,
                        .begin = At(1),
                        .end = At(1)});
  REQUIRE(log->Write() == absl::OkStatus());
  const std::vector<Json> spans = Events(path, "X");
  REQUIRE(spans.size() == 3);
  CHECK(spans[0] == Json::parse(R"({"ph":"X","name":"wait","cat":"worker",
      "pid":1,"tid":2,"ts":1.0,"dur":0.0})"));
  CHECK(spans[1] == Json::parse(R"({"ph":"X","name":"compute","cat":"worker",
      "pid":2,"tid":1,"ts":1000000.5,"dur":2.25})"));
  CHECK(spans[2] == Json::parse(R"({"ph":"X","name":"push_pull","pid":2,
      "tid":7,"ts":3.0,"dur":4.0,"cat":"request","args":{"bytes_up":10,
      "bytes_down":20,"staleness":3,"version":9,"server":2}})"));
  std::vector<std::string> names;
  for (const Json& event : Events(path, "M")) {
    if (!absl::EndsWith(event["name"].get<std::string>(), "_name")) continue;
    names.push_back(absl::StrCat(event["pid"].get<int>(), "/",
                                 event["tid"].get<int>(), " ",
                                 event["args"]["name"].get<std::string>()));
  }
  CHECK(names == std::vector<std::string>{
                     "1/1 worker 0", "1/2 exchanges beside the steps",
                     "2/1 worker 1", "2/1 steps", "2/7 shard 4"});
}

TEST_CASE("What is too much is counted and said", "[watch]") {
  const TemporaryFolder folder;
  const std::string path = JoinPath(folder.path(), "trace.json");
  const auto log = *TraceLog::Open(path, RealFileSystem(), /*spans=*/2);
  for (int i = 0; i < 5; ++i) log->OfWorker(0).Add(Compute(i, i + 1));
  log->OfWorker(1).Add(Compute(0, 1));
  const absl::Status status = log->Write();
  CHECK(absl::IsDataLoss(status));
  CHECK(absl::StrContains(status.message(), "3 spans beyond the first 2"));
  CHECK(Events(path, "X").size() == 3);
  const Json trace = Json::parse(*RealFileSystem().Read(path));
  CHECK(trace["otherData"]["dropped_spans"] == Json{{"worker 0", 3}});
}

TEST_CASE("Traces of several processes become one", "[watch]") {
  const TemporaryFolder folder;
  std::vector<std::string> parts;
  for (int rank = 0; rank < 3; ++rank) {
    parts.push_back(JoinPath(folder.path(), absl::StrCat(rank, ".json")));
    const auto log = *TraceLog::Open(parts.back(), RealFileSystem(), 2);
    for (int i = 0; i < 2 * rank; ++i) {  // none, two, and two too many
      log->OfWorker(rank).Add(Compute(i, i + 1));
    }
    (void)log->Write();
  }
  parts.insert(parts.begin(), JoinPath(folder.path(), "missing.json"));
  const std::string path = JoinPath(folder.path(), "trace.json");
  const auto log = *TraceLog::Open(path, RealFileSystem());
  CHECK(absl::IsDataLoss(log->Merge(parts)));  // what the last one dropped
  CHECK(Events(path, "X").size() == 4);
  CHECK(Events(path, "X").back()["pid"] == 3);
  const Json trace = Json::parse(*RealFileSystem().Read(path));
  CHECK(trace["otherData"]["dropped_spans"] == Json{{"worker 2", 2}});
  // What is no trace is left out, by name; the rest is there.
  for (const char* bad :
       {"", "{}", "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\nx",
        "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n],\"otherData\":{}}"}) {
    REQUIRE(RealFileSystem().Write(parts[0], bad).ok());
    const absl::Status status = log->Merge({parts[0], parts[2]});
    CHECK(absl::IsDataLoss(status));
    CHECK(absl::StrContains(status.message(), "missing.json: is not a trace"));
    CHECK(Events(path, "X").size() == 2);
  }
  CHECK(log->Merge({}) == absl::OkStatus());
  CHECK(Events(path, "X").empty());
}

TEST_CASE("A trace that cannot be written is said at once", "[watch]") {
  const TemporaryFolder folder;
  const std::string path = JoinPath(folder.path(), "none/trace.json");
  const auto log = TraceLog::Open(path, RealFileSystem());
  CHECK(absl::IsUnavailable(log.status()));
  CHECK(absl::StrContains(log.status().message(),
                          absl::StrCat("--trace ", path, ": cannot be")));
  CHECK(*OpenTrace("", RealFileSystem()) == nullptr);
}

}  // namespace
}  // namespace monsoon
