// SPDX-License-Identifier: Apache-2.0
#include "worker/flags.h"

#include <CLI/CLI.hpp>
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "base/command_line.h"
#include "data/dataset.h"
#include "models/model.h"
#include "tests/base/temporary_folder.h"
#include "worker/config_file.h"
#include "worker/option_fields.h"

namespace monsoon {
namespace {

using Catch::Contains;

absl::Status Read(std::vector<const char*> words, Flags& flags) {
  CLI::App app("A test.", "test");
  AddFlags(app, flags);
  words.insert(words.begin(), "test");
  return ReadFlags(app, static_cast<int>(words.size()), words.data(),
                   RealFileSystem(), flags);
}

// The message of a command line that is wrong.
std::string Refusal(const std::vector<const char*>& words) {
  Flags flags;
  const absl::Status status = Read(words, flags);
  CHECK(ExitCode(status) == 2);
  return std::string(status.message());
}

// What `words` say with a --config file of this text.
absl::Status ReadWith(const std::string& config, Flags& flags,
                      std::vector<const char*> words = {}) {
  const TemporaryFolder folder;
  const std::string path = folder.At("run.toml");
  RealFileSystem().Write(path, config).IgnoreError();
  words.push_back("--config");
  words.push_back(path.c_str());
  return Read(words, flags);
}

TEST_CASE("Flags fill in the options and say which were given",
          "[worker][flags]") {
  Flags flags;
  REQUIRE(Read({"--trainer", "aeasgd", "--batch-size=16", "--lr", "5e-2",
                "--set", "alpha=0.3", "--set", "window=4", "--json",
                "--connect-timeout", "2.5"},
               flags)
              .ok());
  CHECK(flags.options.trainer == "aeasgd");
  CHECK(flags.options.batch_size == 16);
  CHECK(flags.options.lr == 0.05);
  CHECK(flags.options.set.at("alpha") == "0.3");
  CHECK(flags.options.set.at("window") == "4");
  CHECK(flags.options.connect_timeout == absl::Seconds(2.5));
  CHECK(flags.json);
  CHECK(flags.options.given == std::set<std::string>{"trainer", "batch-size",
                                                     "lr", "set",
                                                     "connect-timeout"});
}

TEST_CASE("Of a flag that is given twice the last one counts",
          "[worker][flags]") {
  Flags flags;
  REQUIRE(Read({"--seed", "1", "--seed", "2"}, flags).ok());
  CHECK(flags.options.seed == 2);
}

TEST_CASE("What is only said or not said takes no value", "[worker][flags]") {
  const auto overlaps = [](const std::vector<const char*>& words) {
    Flags flags;
    REQUIRE(Read(words, flags).ok());
    CHECK(flags.options.given.contains("overlap") == !words.empty());
    return flags.options.overlap;
  };
  CHECK_FALSE(overlaps({}));
  CHECK(overlaps({"--overlap"}));
  CHECK(overlaps({"--overlap=true"}));
  CHECK_FALSE(overlaps({"--overlap=false"}));
  CHECK_THAT(Refusal({"--overlap=maybe"}), Contains("maybe"));
  CHECK_THAT(Refusal({"--overlap", "adag"}), Contains("adag"));
  Flags flags;
  REQUIRE(ReadWith("overlap = true\n", flags).ok());
  CHECK(flags.options.overlap);
  CHECK_THAT(std::string(ReadWith("overlap = 1\n", flags).message()),
             Contains("overlap: found \"1\", expected true or false"));
}

TEST_CASE("A wrong command line names flag, value and what is expected",
          "[worker][flags]") {
  CHECK_THAT(Refusal({"--bach-size", "64"}),
             Contains("unknown flag \"--bach-size\"") &&
                 Contains("did you mean \"--batch-size\"?"));
  CHECK_THAT(Refusal({"--worker=3"}), Contains("did you mean \"--workers\"?"));
  CHECK_THAT(Refusal({"extra"}), Contains("unexpected argument \"extra\""));
  CHECK_THAT(Refusal({"--workers", "two"}),
             Contains("--workers: found \"two\", expected a whole number"));
  CHECK_THAT(Refusal({"--workers", "2.5"}), Contains("found \"2.5\""));
  CHECK_THAT(Refusal({"--lr", "nan"}), Contains("--lr: found \"nan\""));
  CHECK_THAT(Refusal({"--seed", "-1"}), Contains("--seed: found \"-1\""));
  CHECK_THAT(Refusal({"--epochs"}), Contains("--epochs: found no value"));
  CHECK_THAT(Refusal({"--set", "window"}), Contains("expected KEY=VALUE"));
}

TEST_CASE("Help lists every flag, model, trainer and optimizer",
          "[worker][flags]") {
  Flags flags;
  REQUIRE(Read({"--help"}, flags).ok());
  for (const OptionField& field : OptionFields()) {
    CHECK_THAT(flags.help, Contains("--" + field.name));
  }
  for (const auto& names :
       {TrainerNames(), OptimizerNames(), ModelNames(), DatasetNames()}) {
    for (const std::string& name : names) {
      CHECK_THAT(flags.help, Contains(name));
    }
  }
}

TEST_CASE("A config file has the keys of the flags, and flags win",
          "[worker][flags]") {
  Flags flags;
  REQUIRE(ReadWith("trainer = \"downpour\"\nbatch-size = 32\nlr = 0.5\n"
                   "batch_size = 16\n\n[set]\nwindow = 7\n",
                   flags, {"--lr", "0.25"})
              .ok());
  CHECK(flags.options.trainer == "downpour");
  CHECK(flags.options.batch_size == 16);
  CHECK(flags.options.lr == 0.25);
  CHECK(flags.options.set.at("window") == "7");
}

TEST_CASE("A wrong config file is told with file and line", "[worker][flags]") {
  const auto refusal = [](const std::string& config) {
    Flags flags;
    const absl::Status status = ReadWith(config, flags);
    CHECK(ExitCode(status) == 2);
    return std::string(status.message());
  };
  CHECK_THAT(refusal("\nepoch = 3\n"),
             Contains("run.toml:2: unknown key \"epoch\"") &&
                 Contains("did you mean \"epochs\"?"));
  CHECK_THAT(refusal("epochs = 0\n"),
             Contains("run.toml:1: epochs: found \"0\", expected"));
  CHECK_THAT(refusal("epochs = [1]\n"), Contains("type array"));
  CHECK_THAT(refusal("set = 3\n"), Contains("expected a table"));
  CHECK_THAT(refusal("[set]\nwindow = [1]\n"), Contains("run.toml:2: set."));
  CHECK_THAT(refusal("lr = 0.1\ntrainer = adag\n"), Contains("run.toml:2:"));
  CHECK_THAT(Refusal({"--config", "/nowhere/run.toml"}),
             Contains("--config") && Contains("/nowhere/run.toml"));
}

TEST_CASE("The written config repeats the resolved options",
          "[worker][flags]") {
  for (const std::string& trainer : TrainerNames()) {
    Options options{.trainer = trainer,
                    .model = "mlp:20,10",
                    .data = "fashion-mnist:/a \"quoted\\ folder",
                    .workers = trainer == "single" ? 1 : 7,
                    .lr = 1.0 / 3,
                    .seed = 12345678901,
                    .out = "left-out"};
    options.connect_timeout = absl::Milliseconds(1500);
    REQUIRE(ResolveOptions(options).ok());
    const auto text = ConfigText(options);
    REQUIRE(text.ok());
    Flags again;
    REQUIRE(ReadWith(*text, again).ok());
    REQUIRE(ResolveOptions(again.options).ok());
    for (const OptionField& field : OptionFields()) {
      if (field.name == "out") continue;
      CHECK(field.Get(again.options) == field.Get(options));
    }
    CHECK(again.options.out.empty());
    CHECK(TrainerOf(again.options)->resolved == TrainerOf(options)->resolved);
    CHECK(*ConfigText(again.options) == *text);
  }
}

}  // namespace
}  // namespace monsoon
