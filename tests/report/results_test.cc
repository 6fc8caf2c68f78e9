// SPDX-License-Identifier: Apache-2.0
#include "report/results.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "report/build_report.h"
#include "tests/base/temporary_folder.h"

namespace monsoon {
namespace {

std::string Line(const std::string& more = "") {
  return R"({"trainer":"adag","model":"mlp","data":"fashion-mnist",)"
         R"("batch_size":64,"workers":2,"servers":1,"epochs":1,"seed":7,)"
         R"("transport":"inproc","samples":60000,"elapsed_s":1.5,)"
         R"("samples_per_s":40000,"startup_s":0.1,"peak_rss_bytes":9,)"
         R"("bytes_up":8,"bytes_down":9,"staleness_mean":0.5,)"
         R"("staleness_p95":null,"train_loss":0.4,"test_loss":0.5,)"
         R"("test_acc":0.8,"wire":"bf16","hyper":{"window":12})" +
         more + R"(,"status":"done"})";
}

// A bench folder with these results, read.
class Bench {
 public:
  explicit Bench(const std::string& results,
                 const std::string& bench = R"({"machine":{"cores":2}})") {
    FileSystem& files = RealFileSystem();
    REQUIRE(files.Write(folder_.At("bench.json"), bench).ok());
    REQUIRE(files.Write(folder_.At("results.jsonl"), results).ok());
    read = *ReadResultFolder(files, folder_.path() + "/");
  }
  ResultFolder read;

 private:
  TemporaryFolder folder_;
};

TEST_CASE("a bench is read as it was written") {
  const Bench bench(Line(R"(,"curve":[[0.5,30000,0.7]],"staleness":{"workers":)"
                         R"({"0":{"0":3,"2":1},"1":{"2":4}},"shards":{}})") +
                    "\n");
  CHECK(bench.read.is_bench);
  CHECK_FALSE(bench.read.damaged);
  CHECK(bench.read.notices.empty());
  CHECK(bench.read.machine["cores"] == 2);
  REQUIRE(bench.read.runs.size() == 1);
  const RunSummary& run = bench.read.runs[0];
  CHECK(run.trainer == "adag");
  CHECK(run.seed == 7);
  CHECK(run.elapsed_s == 1.5);
  CHECK(std::isnan(run.staleness_p95));
  CHECK(run.bytes() == 17);
  CHECK(run.done());
  CHECK(run.Setting("wire") == "bf16");
  CHECK(run.Setting("hyper.window") == "12");
  CHECK(run.name == "line 1");
  CHECK(run.folder.back() != '/');
  REQUIRE(run.curve.size() == 1);
  CHECK(run.curve[0].samples == 30000);
  CHECK(run.staleness == std::map<int64_t, int64_t>{{0, 3}, {2, 5}});
}

TEST_CASE("a last line that is half written is left out, and is no damage") {
  const Bench bench(Line() + "\n" + Line().substr(0, 40));
  CHECK(bench.read.runs.size() == 1);
  CHECK_FALSE(bench.read.damaged);
  REQUIRE(bench.read.notices.size() == 1);
  CHECK_THAT(bench.read.notices[0], Catch::Contains("half written") &&
                                        Catch::Contains("results.jsonl"));
}

TEST_CASE("a line that is no summary is named, and the others are shown") {
  const std::string bad =
      GENERATE("[1]", "{\"trainer\":\"ad", "", R"({"trainer":"adag"})",
               R"({"trainer":1,"model":"mlp","batch_size":64})");
  const Bench bench(Line() + "\n" + bad + "\n" + Line() + "\n");
  CHECK(bench.read.runs.size() == 2);
  CHECK(bench.read.summaries.size() == 2);
  CHECK(bench.read.damaged);
  REQUIRE(bench.read.notices.size() == 1);
  CHECK_THAT(bench.read.notices[0],
             Catch::Contains("line 2") && Catch::Contains("expected"));
}

TEST_CASE("lines of another version are shown without what they lack") {
  const std::string old =
      R"({"trainer":"adag","model":"mlp","batch_size":64,"test_acc":"high"})";
  const Bench bench(old + "\n" + old + "\n");
  REQUIRE(bench.read.runs.size() == 2);
  CHECK(bench.read.runs[0].status == "unknown");
  CHECK(std::isnan(bench.read.runs[0].test_acc));
  CHECK_FALSE(bench.read.damaged);
  REQUIRE(bench.read.notices.size() == 1);  // one for both
  CHECK_THAT(bench.read.notices[0], Catch::Contains("line 1 and 1 more") &&
                                        Catch::Contains("elapsed_s") &&
                                        Catch::Contains("test_acc"));
}

TEST_CASE("a bench.json that cannot be read hides no run") {
  const std::string text = GENERATE("", "{", "[]");
  const Bench bench(Line() + "\n", text);
  CHECK(bench.read.runs.size() == 1);
  CHECK(bench.read.damaged);
  CHECK(bench.read.machine.is_null());
}

TEST_CASE("a run folder is its summary and its losses") {
  const TemporaryFolder folder;
  FileSystem& files = RealFileSystem();
  REQUIRE(files.Write(folder.At("summary.json"), Line() + "\n").ok());
  REQUIRE(files
              .Write(folder.At("metrics.jsonl"),
                     "{\"elapsed_s\":1,\"loss\":2.5}\n"
                     "{\"elapsed_s\":2,\"loss\":null}\n{\"elaps")
              .ok());
  const ResultFolder read = *ReadResultFolder(files, folder.path());
  CHECK_FALSE(read.is_bench);
  REQUIRE(read.runs.size() == 1);
  REQUIRE(read.runs[0].losses.size() == 1);
  CHECK(read.runs[0].losses[0].loss == 2.5);
}

TEST_CASE("what is no folder of results is not found, and it is said why") {
  const TemporaryFolder folder;
  FileSystem& files = RealFileSystem();
  const auto fails = [&](const std::string& path, const std::string& why) {
    const absl::Status status = ReadResultFolder(files, path).status();
    CHECK(absl::IsNotFound(status));
    CHECK_THAT(std::string(status.message()),
               Catch::Contains(why) && Catch::Contains("expected"));
  };
  fails(folder.At("nowhere"), "no such folder");
  fails(folder.path(), "neither bench.json nor summary.json");
  REQUIRE(files.Write(folder.At("metrics.jsonl"), "").ok());
  fails(folder.path(), "has not ended, or was killed");
}

TEST_CASE(
    "a report is in the order of the matrices, its machines side by side") {
  const auto line = [](const std::string& trainer, int batch_size) {
    return R"({"trainer":")" + trainer + R"(","model":"mlp","batch_size":)" +
           std::to_string(batch_size) + R"(,"status":"done","elapsed_s":1})" +
           "\n";
  };
  const Bench first(line("adag", 64) + line("single", 64) + line("adag", 8),
                    R"({"machine":{"cores":2,"versions":{"grpc":"1.51"}},)"
                    R"("matrix":{"trainers":["single","adag"]}})");
  const Bench second(line("gem", 8),
                     R"({"machine":{"cores":4,"processor":null}})");
  const Report report = BuildReport({first.read, second.read}, {"another"});
  REQUIRE(report.runs.size() == 4);
  CHECK(report.runs[0].trainer == "single");
  CHECK(report.runs[1].batch_size == 8);
  CHECK(report.runs[1].trainer == "adag");
  CHECK(report.runs[3].trainer == "gem");
  CHECK(report.notices.size() == 3);  // missing fields, and another
  using Texts = std::vector<std::string>;
  REQUIRE(report.machines.rows.size() == 3);
  CHECK(report.machines.rows[0] == Texts{"cores", "2", "4"});
  CHECK(report.machines.rows[1] == Texts{"versions grpc", "1.51", "-"});
  CHECK(report.machines.rows[2] == Texts{"processor", "-", "not known"});
  REQUIRE(report.chapters.size() == 1);
  CHECK(report.chapters[0].title == "mlp");
  CHECK(report.summary == "4 runs of 3 trainers: mlp. All are done.");
}

}  // namespace
}  // namespace monsoon
