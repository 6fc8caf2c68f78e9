// SPDX-License-Identifier: Apache-2.0
#include "cli/bench_plan.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/bench_lists.h"
#include "cli/job_arguments.h"

namespace monsoon {
namespace {

const std::vector<std::string> kTrainers = {"adag", "aeasgd", "downpour",
                                            "single"};

std::string Message(const absl::Status& status) {
  CHECK(status.code() == absl::StatusCode::kInvalidArgument);
  return std::string(status.message());
}

BenchChoices Choices() {
  BenchChoices choices;
  choices.models = {"mlp"};
  choices.trainers = {"single", "adag"};
  choices.batch_sizes = {16, 64, 128};
  choices.repeat = 2;
  choices.workers = {4};
  choices.options.seed = 7;
  choices.options.given = {"workers", "seed"};
  return choices;
}

std::vector<std::string> Names(const std::vector<BenchRun>& runs) {
  std::vector<std::string> names;
  for (const BenchRun& run : runs) names.push_back(run.name);
  return names;
}

TEST_CASE("a list of names keeps its order") {
  const auto names =
      ParseNames("trainers", "trainer", "single,adag", kTrainers);
  REQUIRE(names.ok());
  CHECK(*names == std::vector<std::string>{"single", "adag"});
}

TEST_CASE("the sizes of a model are not items of their own") {
  const auto names =
      ParseNames("models", "model", "mlp:500,250,cnn,mlp:500", {"cnn", "mlp"});
  REQUIRE(names.ok());
  CHECK(*names == std::vector<std::string>{"mlp:500,250", "cnn", "mlp:500"});
}

TEST_CASE("an unknown name in a list is answered with the nearest spelling") {
  CHECK(Message(ParseNames("trainers", "trainer", "single,adga", kTrainers)
                    .status()) ==
        "--trainers: unknown trainer \"adga\"; accepted: adag, aeasgd, "
        "downpour, single; did you mean \"adag\"?");
}

TEST_CASE("a list has neither empty items nor doubles") {
  const std::string text = GENERATE("", ",", "adag,", ",adag", "adag,,single");
  CHECK(Message(ParseNames("trainers", "trainer", text, kTrainers).status()) ==
        "--trainers: found \"" + text +
            "\", expected items with one comma between them and none empty");
  CHECK(Message(ParseNames("trainers", "trainer", "adag,single,adag", kTrainers)
                    .status()) ==
        "--trainers: \"adag\" comes twice in \"adag,single,adag\"; give it "
        "once");
  CHECK(Message(ParseCounts("batches", "16,016").status()) ==
        "--batches: 16 comes twice in \"16,016\"; give it once");
}

TEST_CASE("a list of numbers has whole numbers of 1 and more") {
  const auto counts = ParseCounts("batches", "64,16,128");
  REQUIRE(counts.ok());
  CHECK(*counts == std::vector<int>{64, 16, 128});
  const std::string bad =
      GENERATE("0", "-1", "1.5", "64a", " 64", "0x10", "99999999999");
  CHECK(Message(ParseCounts("batches", "16," + bad).status()) ==
        "--batches: found \"" + bad + "\", expected whole numbers, at least 1");
}

TEST_CASE(
    "a list of accuracies is sorted, and its highest ends a run's curve") {
  const auto accuracies = ParseAccuracies("time-to", "0.88,0.85,1");
  REQUIRE(accuracies.ok());
  CHECK(*accuracies == std::vector<double>{0.85, 0.88, 1});
  const std::string bad = GENERATE("0", "-0.5", "85", "1.01", "nan", "x");
  CHECK(Message(ParseAccuracies("time-to", "0.5," + bad).status()) ==
        "--time-to: found \"" + bad +
            "\", expected accuracies above 0, at most 1, as in 0.85,0.88");
  CHECK(Message(ParseAccuracies("time-to", "0.85,0.9,0.850").status()) ==
        "--time-to: 0.85 comes twice in \"0.85,0.9,0.850\"; give it once");
  BenchChoices choices = Choices();
  choices.targets = {0.85, 0.88};
  const auto runs = PlanRuns(choices);
  REQUIRE(runs.ok());
  for (const BenchRun& run : *runs) {
    CHECK(run.options.time_to == 0.88);
  }
}

TEST_CASE("a list of wire codes has one item for pushes and replies") {
  const auto wires = ParseWires("wire", "fp32,topk:0.1,int8/fp16");
  REQUIRE(wires.ok());
  CHECK(*wires ==
        std::vector<std::string>{"fp32", "topk:0.1,fp32", "int8,fp16"});
  CHECK(Message(ParseWires("wire", "bf16,int7").status())
            .find("--wire: unknown wire code \"int7\"") == 0);
  BenchChoices choices = Choices();
  choices.trainers = {"adag"};
  choices.wires = *wires;
  const auto runs = PlanRuns(choices);
  REQUIRE(runs.ok());
  CHECK(runs->size() == 3 * 3 * 2);
  const std::vector<std::string> names = Names(*runs);
  for (const char* name : {"mlp-adag-b16-s7", "mlp-adag-b16-s7-topk-0.1-fp32",
                           "mlp-adag-b16-s7-int8-fp16"}) {
    CHECK(std::count(names.begin(), names.end(), name) == 1);
  }
  CHECK(MatrixJson(choices)["wire"].size() == 3);
  BenchRow row;
  row.trainer = "adag";
  row.model = "mlp";
  const BenchRun& run = runs->front();
  row.batch_size = run.options.batch_size;
  row.workers = run.options.workers;
  row.seed = run.options.seed;
  row.wire = run.options.wire;
  CHECK(IsResultOf(row, run));
  row.wire = "onebit,fp32";
  CHECK_FALSE(IsResultOf(row, run));
  // Of several, each trainer gets those that it can have.
  choices.trainers = {"single", "aeasgd"};
  const auto fewer = PlanRuns(choices);
  REQUIRE(fewer.ok());
  CHECK(fewer->size() == (1 + 2) * 3 * 2);
  choices.wires = {"bf16"};
  CHECK(Message(PlanRuns(choices).status()).find("single") !=
        std::string::npos);
  CHECK(Message(ParseWires("wire", "bf16,bf16/bf16").status()) ==
        "--wire: \"bf16\" comes twice in \"bf16,bf16/bf16\"; give it once");
}

TEST_CASE("the plan has every cell and repeat once, with seeds that go up") {
  const auto runs = PlanRuns(Choices());
  REQUIRE(runs.ok());
  CHECK(runs->size() == 2 * 3 * 2);
  const std::vector<std::string> names = Names(*runs);
  CHECK(std::set<std::string>(names.begin(), names.end()) ==
        std::set<std::string>{
            "mlp-single-b16-s7", "mlp-single-b64-s7", "mlp-single-b128-s7",
            "mlp-single-b16-s8", "mlp-single-b64-s8", "mlp-single-b128-s8",
            "mlp-adag-b16-s7", "mlp-adag-b64-s7", "mlp-adag-b128-s7",
            "mlp-adag-b16-s8", "mlp-adag-b64-s8", "mlp-adag-b128-s8"});
}

TEST_CASE("the order is shuffled, by the seed alone") {
  const auto runs = PlanRuns(Choices());
  const auto again = PlanRuns(Choices());
  BenchChoices other = Choices();
  other.options.seed = 8;
  const auto others = PlanRuns(other);
  REQUIRE((runs.ok() && again.ok() && others.ok()));
  CHECK(Names(*runs) == Names(*again));
  CHECK_FALSE(std::is_sorted(runs->begin(), runs->end(),
                             [](const BenchRun& a, const BenchRun& b) {
                               return a.options.trainer > b.options.trainer;
                             }));
  CHECK(Names(*runs) != Names(*others));
}

TEST_CASE("a trainer of one worker runs with one, the others with all") {
  const auto runs = PlanRuns(Choices());
  REQUIRE(runs.ok());
  for (const BenchRun& run : *runs) {
    CHECK(run.options.workers == (run.options.trainer == "single" ? 1 : 4));
  }
}

// "trainer workers servers window", each once.
std::set<std::string> Cells(const BenchChoices& choices) {
  const auto runs = PlanRuns(choices);
  REQUIRE(runs.ok());
  std::set<std::string> cells;
  for (const BenchRun& run : *runs) {
    const auto window = run.options.set.find("window");
    cells.insert(absl::StrCat(
        run.options.trainer, " ", run.options.workers, " ", run.options.servers,
        " ", window == run.options.set.end() ? "-" : window->second));
  }
  // Each cell has its repeats, and no folder is of two runs.
  CHECK(runs->size() == cells.size() * static_cast<size_t>(choices.repeat));
  const std::vector<std::string> names = Names(*runs);
  CHECK(std::set<std::string>(names.begin(), names.end()).size() ==
        runs->size());
  return cells;
}

TEST_CASE("a trainer has only the axes that it knows") {
  BenchChoices choices = Choices();
  choices.batch_sizes = {64};
  choices.trainers = {"single", "adag", "sync", "hogwild"};
  choices.workers = {1, 2};
  choices.servers = {1, 2};
  choices.windows = {5, 10};
  CHECK(Cells(choices) ==
        std::set<std::string>{"single 1 1 -", "adag 1 1 5", "adag 1 1 10",
                              "adag 2 1 5", "adag 2 1 10", "adag 1 2 5",
                              "adag 1 2 10", "adag 2 2 5", "adag 2 2 10",
                              "sync 1 1 -", "sync 2 1 -", "sync 1 2 -",
                              "sync 2 2 -", "hogwild 1 1 -", "hogwild 2 1 -"});
  // What it can have none of is refused before anything has run.
  choices.servers = {2, 3};
  CHECK(Message(PlanRuns(choices).status())
            .find("--servers 2: trainer hogwild") == 0);
  choices.trainers = {"single", "sync"};
  CHECK(Cells(choices).contains("single 1 2 -"));
}

TEST_CASE("a name has what there is several of") {
  BenchChoices choices = Choices();
  choices.batch_sizes = {16};
  choices.trainers = {"adag"};
  choices.repeat = 1;
  choices.workers = {4, 2};
  choices.servers = {1, 2};
  choices.windows = {5};
  const auto runs = PlanRuns(choices);
  REQUIRE(runs.ok());
  std::vector<std::string> names = Names(*runs);
  std::sort(names.begin(), names.end());
  CHECK(names ==
        std::vector<std::string>{"mlp-adag-b16-w2-servers1-window5-s7",
                                 "mlp-adag-b16-w2-servers2-window5-s7",
                                 "mlp-adag-b16-w4-servers1-window5-s7",
                                 "mlp-adag-b16-w4-servers2-window5-s7"});
}

TEST_CASE("a window is chosen in one place") {
  BenchChoices choices = Choices();
  choices.trainers = {"adag"};
  choices.options.set["window"] = "3";
  CHECK(PlanRuns(choices).ok());
  choices.windows = {5, 10};
  CHECK(Message(PlanRuns(choices).status()) ==
        "--set window=3: found with --windows, expected one of them; leave "
        "--set window out, or name it in --windows");
}

TEST_CASE("the matrix has an axis as a list where it has several values") {
  BenchChoices choices = Choices();
  const nlohmann::ordered_json before = MatrixJson(choices);
  CHECK(before["workers"] == 4);
  CHECK(before["servers"] == 1);
  CHECK_FALSE(before.contains("windows"));
  choices.workers = {1, 2};
  choices.servers = {1, 3};
  choices.windows = {5};
  const nlohmann::ordered_json matrix = MatrixJson(choices);
  CHECK(matrix["workers"].dump() == "[1,2]");
  CHECK(matrix["servers"].dump() == "[1,3]");
  CHECK(matrix["windows"] == 5);
}

TEST_CASE("a run that cannot be ends the plan") {
  BenchChoices choices = Choices();
  choices.options.set["windw"] = "3";
  CHECK(Message(PlanRuns(choices).status()).find("windw") != std::string::npos);
}

TEST_CASE("the matrix says what decides about the results and nothing else") {
  const nlohmann::ordered_json matrix = MatrixJson(Choices());
  CHECK(matrix["trainers"].dump() == R"(["single","adag"])");
  CHECK(matrix["batches"].dump() == "[16,64,128]");
  CHECK(matrix["repeat"] == 2);
  CHECK(matrix["workers"] == 4);
  CHECK(matrix["seed"] == 7);
  CHECK(matrix["data"] == "fashion-mnist");
  CHECK(matrix["lr"].is_null());
  CHECK_FALSE(matrix.contains("out"));
  BenchChoices other = Choices();
  other.options.lr = 0.25;
  other.options.given.insert("lr");
  CHECK(MatrixJson(other)["lr"] == 0.25);
}

TEST_CASE("a result belongs to the run of the same cell and seed") {
  const auto runs = PlanRuns(Choices());
  REQUIRE(runs.ok());
  const BenchRun& run = runs->front();
  BenchRow row;
  row.model = run.options.model;
  row.trainer = run.options.trainer;
  row.batch_size = run.options.batch_size;
  row.workers = run.options.workers;
  row.seed = run.options.seed;
  CHECK(IsResultOf(row, run));
  CHECK(IsOfCell(row, run));
  ++row.seed;
  CHECK(IsOfCell(row, run));
  CHECK_FALSE(IsResultOf(row, run));
}

TEST_CASE("results of other workers, servers or windows are others'") {
  BenchChoices choices = Choices();
  choices.trainers = {"adag"};
  choices.workers = {2, 4};
  choices.windows = {5, 10};
  const auto runs = PlanRuns(choices);
  REQUIRE(runs.ok());
  const BenchRun& run = runs->front();
  BenchRow row;
  row.model = "mlp";
  row.trainer = "adag";
  row.batch_size = run.options.batch_size;
  row.workers = run.options.workers;
  row.servers = 1;
  row.window = run.window;
  row.seed = run.options.seed;
  CHECK(IsResultOf(row, run));
  const int change = GENERATE(0, 1, 2);
  if (change == 0) row.workers = 6 - row.workers;
  if (change == 1) row.servers = 2;
  if (change == 2) row.window = 15 - row.window;
  CHECK_FALSE(IsResultOf(row, run));
  // Of each row there is one run.
  CHECK(std::count_if(runs->begin(), runs->end(), [&row](const auto& other) {
          return IsResultOf(row, other);
        }) == (change == 1 ? 0 : 1));
}

TEST_CASE("the flags of a process repeat the options it is for") {
  Options options;
  options.trainer = "adag";
  options.set["window"] = "5";
  options.servers = 3;
  options.out = "somewhere";
  REQUIRE(ResolveOptions(options).ok());
  const std::vector<std::string> arguments = JobArguments(options);
  const auto has = [&arguments](const std::string& word) {
    return std::find(arguments.begin(), arguments.end(), word) !=
           arguments.end();
  };
  CHECK(has("--trainer=adag"));
  CHECK(has("--batch-size=64"));
  CHECK(has("--optimizer=" + options.optimizer));
  CHECK(has("window=5"));
  CHECK_FALSE(has("--servers=3"));
  CHECK_FALSE(has("--out=somewhere"));
}

}  // namespace
}  // namespace monsoon
