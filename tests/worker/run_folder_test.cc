// SPDX-License-Identifier: Apache-2.0
#include "worker/run_folder.h"

#include <catch2/catch.hpp>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>

#include "base/command_line.h"
#include "base/safetensors.h"
#include "tests/base/temporary_folder.h"

namespace monsoon {
namespace {

using Catch::Contains;

Options Resolved(const std::string& out) {
  Options options{.model = "mlp:20,10", .out = out};
  CHECK(ResolveOptions(options).ok());
  return options;
}

TEST_CASE("A run folder without a name is named after time and settings",
          "[worker][run_folder]") {
  const absl::Time now = absl::FromCivil(
      absl::CivilSecond(2025, 1, 14, 9, 31, 5), absl::UTCTimeZone());
  const auto folder =
      RunFolder::Plan(Resolved(""), RealFileSystem(), now, 0xA3);
  REQUIRE(folder.ok());
  CHECK(folder->path() == "runs/20250114-093105-adag-mlp-20-10-b64-00a3");
  CHECK_FALSE(folder->made());
  CHECK_FALSE(RealFileSystem().Exists(folder->path()));
}

TEST_CASE("A run folder keeps config, metrics, model and summary",
          "[worker][run_folder]") {
  const TemporaryFolder temporary;
  FileSystem& files = RealFileSystem();
  const Options options = Resolved(temporary.At("run"));
  auto folder = RunFolder::Plan(options, files, absl::UnixEpoch(), 0);
  REQUIRE(folder.ok());
  REQUIRE(
      folder->AddMetrics({.samples = 10, .elapsed_s = 0.5, .loss = 2}).ok());
  REQUIRE(folder
              ->AddMetrics({.samples = 20,
                            .loss = std::numeric_limits<double>::quiet_NaN()})
              .ok());
  ParameterLayout layout;
  layout.Add("weight", {2, 2}, TensorKind::kWeight);
  std::vector<Flat> members(1);
  members[0] = Flat(4);
  members[0][3] = 7;
  REQUIRE(folder->WriteModel(options, layout, members).ok());
  REQUIRE(folder->WriteSummary("{\"status\":\"done\"}").ok());

  const std::string root = folder->path();
  CHECK(*files.List(root) ==
        std::vector<std::string>{"checkpoints", "config.toml", "logs",
                                 "metrics.jsonl", "summary.json"});
  CHECK(*files.Read(JoinPath(root, "metrics.jsonl")) ==
        "{\"elapsed_s\":0.5,\"samples\":10,\"loss\":2.0,\"samples_per_s\":0.0}"
        "\n{\"elapsed_s\":0.0,\"samples\":20,\"loss\":null,"
        "\"samples_per_s\":0.0}\n");
  CHECK(*files.Read(JoinPath(root, "summary.json")) ==
        "{\"status\":\"done\"}\n");
  const std::string bytes =
      *files.Read(JoinPath(root, "checkpoints/final.safetensors"));
  const auto model = ParseSafetensors(bytes);
  REQUIRE(model.ok());
  CHECK(model->metadata.at("model") == "mlp:20,10");
  CHECK(model->metadata.at("trainer") == "adag");
  Flat read(4);
  REQUIRE(CopyToFlat(*model, layout, read).ok());
  CHECK(read[3] == 7);
}

TEST_CASE("The folder of a finished run is not written over",
          "[worker][run_folder]") {
  const TemporaryFolder temporary;
  FileSystem& files = RealFileSystem();
  REQUIRE(files.Write(temporary.At("summary.json"), "{}").ok());
  const auto folder =
      RunFolder::Plan(Resolved(temporary.path()), files, absl::UnixEpoch(), 0);
  CHECK(ExitCode(folder.status()) == 2);
  CHECK_THAT(std::string(folder.status().message()),
             Contains(temporary.path()) && Contains("name another"));
}

}  // namespace
}  // namespace monsoon
