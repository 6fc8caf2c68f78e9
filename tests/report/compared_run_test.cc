// SPDX-License-Identifier: Apache-2.0
#include "report/compared_run.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <string>

namespace monsoon {
namespace {

using Catch::Matchers::Contains;

constexpr char kNeeded[] =
    R"("trainer":"adag","model":"mlp","batch_size":64,"workers":2,)"
    R"("status":"done")";

std::string Summary(const std::string& more) {
  return std::string("{") + kNeeded + more + "}";
}

double Value(const ComparedRun& run, const char* field) {
  return run.values[static_cast<size_t>(FindComparedField(field))];
}

bool Lacks(const ComparedRun& run, const char* key) {
  return std::find(run.missing.begin(), run.missing.end(), key) !=
         run.missing.end();
}

TEST_CASE("a summary is read, with null for what is not finite") {
  const auto run = ParseComparedRun(Summary(
      R"(,"data":"toy","servers":3,"wire":"bf16","seed":18446744073709551615,)"
      R"("elapsed_s":1.5,"test_acc":null,"lr":0.1,"hyper":{"window":5},)"
      R"("more":[1])"));
  REQUIRE(run.ok());
  CHECK(run->cell == BenchCell{.model = "mlp",
                               .data = "toy",
                               .trainer = "adag",
                               .workers = 2,
                               .servers = 3,
                               .wire = "bf16",
                               .batch_size = 64,
                               .window = 5});
  CHECK(run->is_done());
  CHECK(run->seed == "18446744073709551615");
  CHECK(Value(*run, "elapsed_s") == 1.5);
  CHECK(std::isnan(Value(*run, "test_acc")));
  CHECK_FALSE(Lacks(*run, "test_acc"));
  CHECK(run->settings.at("lr") == "0.1");
  CHECK(run->settings.at("hyper.window") == "5");
  CHECK(run->settings.at("trainer") == "\"adag\"");
}

TEST_CASE("a summary of another version says what it lacks") {
  const auto run = ParseComparedRun(Summary(R"(,"elapsed_s":2)"));
  REQUIRE(run.ok());
  CHECK(run->cell.data == "fashion-mnist");
  CHECK(run->cell.servers == 1);
  CHECK(run->cell.wire == "fp32");
  CHECK(run->seed.empty());
  for (const char* key : {"data", "servers", "wire", "test_acc", "time_to"}) {
    CHECK(Lacks(*run, key));
  }
  CHECK_FALSE(Lacks(*run, "elapsed_s"));
  CHECK(std::isnan(Value(*run, "test_acc")));
}

TEST_CASE("what is no summary is data loss that names the key") {
  const auto refused = [](const std::string& line, const std::string& why) {
    const auto run = ParseComparedRun(line);
    CHECK(run.status().code() == absl::StatusCode::kDataLoss);
    CHECK_THAT(std::string(run.status().message()), Contains(why));
  };
  refused("{\"trainer\":\"ad",
          "found \"{\"trainer\":\"ad\", expected a summary");
  refused("[1]", "expected a summary as one JSON object");
  refused("{}", "found no \"trainer\", expected a text");
  refused(Summary(R"(,"servers":-1)"),
          "found -1 for \"servers\", expected a whole number");
  refused(Summary(R"(,"servers":4294967296)"), "found 4294967296");
  refused(Summary(R"(,"elapsed_s":"2")"),
          "found \"2\" for \"elapsed_s\", expected a number or null");
  refused(Summary(R"(,"wire":1)"), "found 1 for \"wire\", expected a text");
}

TEST_CASE("every cell but that of fp32 names its wire") {
  BenchCell cell{.model = "mlp",
                 .data = "toy",
                 .trainer = "single",
                 .workers = 1,
                 .servers = 2,
                 .wire = "fp32",
                 .batch_size = 8};
  CHECK(DescribeCell(cell) ==
        "mlp on toy, single, batch 8, 1 worker, 2 servers");
  cell.wire = "int8,bf16";
  CHECK(DescribeCell(cell) ==
        "mlp on toy, single, batch 8, 1 worker, 2 servers, wire int8,bf16");
}

}  // namespace
}  // namespace monsoon
