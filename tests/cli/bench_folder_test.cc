// SPDX-License-Identifier: Apache-2.0
#include "cli/bench_folder.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "cli/machine.h"

namespace monsoon {
namespace {

using Json = nlohmann::ordered_json;

const Json kMatrix = {{"batches", {16, 64}}, {"seed", 1}};
const Json kMachine = {{"cores", 2}};

std::string Line(int seed) {
  return R"({"trainer":"adag","model":"mlp","status":"done","batch_size":64,)"
         R"("workers":2,"wire":"fp32","elapsed_s":1.5,"samples_per_s":40000,)"
         R"("bytes_up":8,"bytes_down":8,)"
         R"("staleness_mean":0.5,"staleness_p95":1,"test_acc":0.8,"seed":)" +
         std::to_string(seed) + "}";
}

// A folder of its own for each test, gone afterwards.
class Folder {
 public:
  Folder()
      : path_((std::filesystem::temp_directory_path() /
               ("monsoon_bench_folder_" + std::to_string(::getpid())))
                  .string()) {
    std::filesystem::remove_all(path_);
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }
  std::string results() const { return JoinPath(path_, "results.jsonl"); }
  absl::StatusOr<std::vector<BenchRow>> Open(const Json& matrix = kMatrix) {
    return OpenBenchFolder(RealFileSystem(), path_, matrix, kMachine);
  }
  void Write(const std::string& text) {
    REQUIRE(RealFileSystem().Write(results(), text).ok());
  }

 private:
  std::string path_;
};

TEST_CASE("a new bench folder says what it is of, and has no rows") {
  Folder folder;
  const auto rows = folder.Open();
  REQUIRE(rows.ok());
  CHECK(rows->empty());
  const auto text =
      RealFileSystem().Read(JoinPath(folder.path(), "bench.json"));
  REQUIRE(text.ok());
  CHECK(Json::parse(*text) ==
        Json({{"machine", kMachine}, {"matrix", kMatrix}}));
}

TEST_CASE("a bench goes on with the rows that it has") {
  Folder folder;
  REQUIRE(folder.Open().ok());
  REQUIRE(AppendResult(RealFileSystem(), folder.path(), Line(1)).ok());
  REQUIRE(AppendResult(RealFileSystem(), folder.path(), Line(2)).ok());
  const auto rows = folder.Open();
  REQUIRE(rows.ok());
  REQUIRE(rows->size() == 2);
  CHECK((*rows)[1].seed == 2);
}

TEST_CASE("a line that was torn by a kill is cut off") {
  Folder folder;
  REQUIRE(folder.Open().ok());
  // The last text is a whole object, but its newline was not written.
  const std::string torn = GENERATE("{\"trainer\":\"ad", "{", Line(2));
  folder.Write(Line(1) + "\n" + torn);
  const auto rows = folder.Open();
  REQUIRE(rows.ok());
  CHECK(rows->size() == 1);
  REQUIRE(AppendResult(RealFileSystem(), folder.path(), Line(3)).ok());
  CHECK(RealFileSystem().Read(folder.results()).value() ==
        Line(1) + "\n" + Line(3) + "\n");
}

TEST_CASE("a result that is replaced is kept beside") {
  Folder folder;
  REQUIRE(folder.Open().ok());
  folder.Write(Line(1) + "\n" + Line(2) + "\n" + Line(3) + "\n");
  FileSystem& files = RealFileSystem();
  REQUIRE(ReplaceResult(files, folder.path(), 1, Line(7)).ok());
  CHECK(files.Read(folder.results()).value() ==
        Line(1) + "\n" + Line(7) + "\n" + Line(3) + "\n");
  CHECK(files.Read(JoinPath(folder.path(), "disturbed.jsonl")).value() ==
        Line(2) + "\n");
  CHECK_FALSE(ReplaceResult(files, folder.path(), 3, Line(8)).ok());
  CHECK(folder.Open()->size() == 3);
}

TEST_CASE("a torn first line leaves nothing") {
  Folder folder;
  REQUIRE(folder.Open().ok());
  folder.Write("{\"trai");
  const auto rows = folder.Open();
  REQUIRE(rows.ok());
  CHECK(rows->empty());
  CHECK(RealFileSystem().Read(folder.results()).value().empty());
}

TEST_CASE("a line that is no summary is data loss, with its number") {
  Folder folder;
  REQUIRE(folder.Open().ok());
  folder.Write(Line(1) + "\nhello\n" + Line(2) + "\n");
  const auto rows = folder.Open();
  CHECK(rows.status().code() == absl::StatusCode::kDataLoss);
  CHECK(std::string(rows.status().message()).find("line 2: ") !=
        std::string::npos);
}

TEST_CASE("another matrix in the same folder is refused, with what differs") {
  Folder folder;
  REQUIRE(folder.Open().ok());
  Json other = kMatrix;
  other["batches"] = {16};
  other["epochs"] = 2;
  const auto rows = folder.Open(other);
  CHECK(rows.status().code() == absl::StatusCode::kInvalidArgument);
  CHECK(std::string(rows.status().message())
            .find("batches is [16,64] there, [16] here; epochs is not set "
                  "there, 2 here") != std::string::npos);
}

TEST_CASE("results without a matrix are nobody's to go on with") {
  Folder folder;
  REQUIRE(RealFileSystem().MakeFolder(folder.path()).ok());
  folder.Write(Line(1) + "\n");
  CHECK(folder.Open().status().code() == absl::StatusCode::kInvalidArgument);
}

TEST_CASE("a bench.json that cannot be read is data loss") {
  Folder folder;
  REQUIRE(RealFileSystem().MakeFolder(folder.path()).ok());
  REQUIRE(RealFileSystem()
              .Write(JoinPath(folder.path(), "bench.json"), "{\"matrix\":")
              .ok());
  CHECK(folder.Open().status().code() == absl::StatusCode::kDataLoss);
}

TEST_CASE("the machine is described by what the system says") {
  const Json machine = DescribeMachine(RealFileSystem());
  CHECK(machine["cores"].get<int>() >= 1);
  CHECK(machine["memory_bytes"].get<int64_t>() > 100'000'000);
  CHECK(machine["load_before"].get<double>() >= 0);
  CHECK(machine["versions"]["grpc"].is_string());
  CHECK(machine.contains("processor"));
  CHECK(machine.contains("os"));
  CHECK(machine["versions"]["commit"].is_string());
}

// Files that are there as they are written here, and no others.
class FewFiles final : public FileSystem {
 public:
  explicit FewFiles(std::map<std::string, std::string> files)
      : files_(std::move(files)) {}
  absl::StatusOr<std::string> Read(const std::string& path) override {
    const auto found = files_.find(path);
    if (found == files_.end()) return absl::NotFoundError(path);
    return found->second;
  }
  absl::Status Write(const std::string&, absl::string_view) override {
    return absl::InternalError("");
  }
  absl::Status Append(const std::string&, absl::string_view) override {
    return absl::InternalError("");
  }
  bool Exists(const std::string& path) override {
    return files_.contains(path);
  }
  absl::Status MakeFolder(const std::string&) override {
    return absl::InternalError("");
  }
  absl::StatusOr<std::vector<std::string>> List(const std::string&) override {
    return absl::InternalError("");
  }

 private:
  std::map<std::string, std::string> files_;
};

TEST_CASE("what a machine is comes from its files, null where there is none") {
  FewFiles files(
      {{"/proc/cpuinfo",
        "processor\t: 0\nmodel name\t: A Processor\ncpu MHz\t\t: 2445.6\n"
        "processor\t: 1\nmodel name\t: Another\ncpu MHz\t\t: 1000.0\n"},
       {"/proc/meminfo", "MemTotal:       1024 kB\nMemFree: 1 kB\n"},
       {"/proc/loadavg", "0.25 0.10 0.05 1/234 5678\n"},
       {"/etc/os-release", "NAME=x\nPRETTY_NAME=\"An OS 12\"\n"},
       {"/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor",
        "performance\n"}});
  const Json machine = DescribeMachine(files);
  CHECK(machine["processor"] == "A Processor");
  CHECK(machine["frequency_mhz"] == 2446);
  CHECK(machine["governor"] == "performance");
  CHECK(machine["memory_bytes"] == 1024 * 1024);
  CHECK(machine["os"] == "An OS 12");
  CHECK(machine["load_before"] == 0.25);
  FewFiles none({});
  const Json unknown = DescribeMachine(none);
  for (const char* key : {"processor", "frequency_mhz", "governor",
                          "memory_bytes", "os", "load_before"}) {
    CHECK(unknown.at(key).is_null());
  }
}

}  // namespace
}  // namespace monsoon
