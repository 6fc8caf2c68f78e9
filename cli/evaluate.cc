// SPDX-License-Identifier: Apache-2.0
//
// monsoon evaluate: a saved model on the test examples of a data set.
#include "worker/evaluate.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/command_line.h"
#include "base/filesystem.h"
#include "base/safetensors.h"
#include "base/status_macros.h"
#include "cli/command.h"
#include "data/dataset.h"
#include "models/model.h"
#include "worker/options.h"
#include "worker/saved_model.h"

namespace monsoon {
namespace {

constexpr char kProgram[] = "monsoon evaluate";

struct Arguments {
  std::string model_file;
  std::string model;  // empty: what the file says
  std::string data = Options().data;
  bool json = false;
  std::string help;
};

absl::Status Read(int argc, const char* const* argv, Arguments& arguments) {
  CLI::App app("A saved model on the test examples of a data set.", kProgram);
  app.add_option("--model-file", arguments.model_file,
                 "a .safetensors file, as in checkpoints/ of a run")
      ->type_name("FILE")
      ->required();
  app.add_option("--data", arguments.data,
                 absl::StrCat("data set, and the folder of its files (default ",
                              arguments.data, ")"))
      ->type_name("NAME[:DIR]");
  app.add_option("--model", arguments.model,
                 "name of the model (default: what the file says)")
      ->type_name("NAME");
  app.add_flag("--json", arguments.json,
               "the last line on stdout is one JSON object");
  return ParseCommandLine(app, argc, argv, arguments.help);
}

// The name of the model that the file holds.
absl::StatusOr<std::string> ModelOf(const Arguments& arguments,
                                    const SafetensorsFile& file) {
  if (!arguments.model.empty()) return arguments.model;
  const auto it = file.metadata.find("model");
  if (it != file.metadata.end()) return it->second;
  return absl::InvalidArgumentError(
      absl::StrCat("\"", arguments.model_file,
                   "\" does not say which model it holds; add --model NAME"));
}

absl::Status EvaluateFile(const Arguments& arguments, FileSystem& files) {
  ASSIGN_OR_RETURN(const std::string bytes, files.Read(arguments.model_file));
  const auto file = ParseSafetensors(bytes);
  if (!file.ok()) {
    return absl::Status(file.status().code(),
                        absl::StrCat("\"", arguments.model_file,
                                     "\": ", file.status().message()));
  }
  ASSIGN_OR_RETURN(const std::string model, ModelOf(arguments, *file));
  ASSIGN_OR_RETURN(const Dataset test,
                   LoadDataset(arguments.data, Split::kTest, files));
  const Shape example{test.channels, test.height, test.width};
  ASSIGN_OR_RETURN(const ParameterLayout layout,
                   LayoutOf(model, example, test.classes));
  ASSIGN_OR_RETURN(const std::vector<Flat> members, DecodeModel(*file, layout));
  ASSIGN_OR_RETURN(const Evaluation score, Evaluate(model, test, members));
  if (arguments.json) {
    nlohmann::ordered_json json;
    json["model"] = model;
    json["data"] = test.name;
    json["samples"] = test.size();
    json["test_loss"] = score.loss;
    json["test_acc"] = score.accuracy;
    std::printf("%s\n", json.dump().c_str());
  } else {
    std::printf("%s on the test examples of %s: test_acc %.4f test_loss %.4f\n",
                model.c_str(), test.name.c_str(), score.accuracy, score.loss);
  }
  return absl::OkStatus();
}

absl::StatusOr<int> RunOnFile(const Arguments& arguments) {
  RETURN_IF_ERROR(EvaluateFile(arguments, RealFileSystem()));
  return 0;
}

int RunEvaluate(int argc, const char* const* argv) {
  return RunCommand(kProgram, argc, argv, Read, RunOnFile);
}

const RegisterCommand kEvaluate("evaluate",
                                {.help = "a saved model on a data set",
                                 .run = RunEvaluate});

}  // namespace
}  // namespace monsoon
