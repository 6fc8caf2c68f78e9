// SPDX-License-Identifier: Apache-2.0
//
// monsoon bench kernels: how near a training step comes to this machine's own
// matrix-multiply limit.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/command_line.h"
#include "base/filesystem.h"
#include "base/status_macros.h"
#include "cli/command.h"
#include "cli/kernel_rates.h"
#include "worker/flags.h"

namespace monsoon {
namespace {

constexpr char kProgram[] = "monsoon bench kernels";

struct Arguments {
  Flags flags;
  KernelJob job;
  double seconds = 5;
  bool verbose = false;
};

absl::StatusOr<Shape> ParseExample(const std::string& text) {
  const std::vector<std::string> parts = absl::StrSplit(text, 'x');
  Shape shape;
  if (parts.size() == 3 && absl::SimpleAtoi(parts[0], &shape.channels) &&
      absl::SimpleAtoi(parts[1], &shape.height) &&
      absl::SimpleAtoi(parts[2], &shape.width) && shape.channels > 0 &&
      shape.height > 0 && shape.width > 0 && shape.size() < (1 << 24)) {
    return shape;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("--example: found \"", text,
                   "\", expected CHANNELSxHEIGHTxWIDTH, as in \"1x28x28\""));
}

absl::Status Read(int argc, const char* const* argv, Arguments& arguments) {
  CLI::App app(
      "Times training steps of one worker and this machine's own sgemm of 2048 "
      "x 2048 x 2048 (of a GPU its library's products) in turn, on data made "
      "for it. With --workers N also N "
      "workers in one process against N processes of their own.",
      kProgram);
  std::string example = "1x28x28", seconds = "5";
  const auto add = [&app](const char* flag, std::string& value,
                          const char* help, const char* type) {
    app.add_option(flag, value, help)
        ->type_name(type)
        ->capture_default_str()
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  };
  add("--example", example, "shape of the examples", "CxHxW");
  add("--seconds", seconds, "how long to measure, for each figure", "S");
  app.add_flag("--evaluate", arguments.job.evaluates,
               "forward passes alone, as in an evaluation");
  app.add_flag("--verbose", arguments.verbose,
               "say how the layers compute, where there was a choice");
  AddFlags(app, arguments.flags,
           {"trainer", "data", "servers", "server-device", "epochs",
            "transport", "out", "connect-timeout"});
  Options& options = arguments.flags.options;
  options.trainer = "single";
  options.workers = 1;
  RETURN_IF_ERROR(
      ReadFlags(app, argc, argv, RealFileSystem(), arguments.flags));
  if (!arguments.flags.help.empty()) return absl::OkStatus();
  if (!absl::SimpleAtod(seconds, &arguments.seconds) ||
      !(arguments.seconds >= 0.1 && arguments.seconds <= 3600)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--seconds: found \"", seconds,
                     "\", expected a number from 0.1 to 3600"));
  }
  ASSIGN_OR_RETURN(arguments.job.example, ParseExample(example));
  // One worker is what `single` has; more are for downpour.
  const int workers = options.workers;
  options.workers = 1;
  RETURN_IF_ERROR(ResolveOptions(options));
  options.workers = workers;
  if (workers > 1 && options.device != "cpu") {
    return absl::InvalidArgumentError(
        absl::StrCat("--workers ", workers, " on --device ", options.device,
                     ": the comparison with processes of their own is of "
                     "cores, expected one worker or --device cpu"));
  }
  arguments.job.options = options;
  return absl::OkStatus();
}

absl::StatusOr<nlohmann::ordered_json> Measure(const Arguments& arguments) {
  const KernelJob& job = arguments.job;
  const absl::Duration duration = absl::Seconds(arguments.seconds);
  const bool scales = job.options.workers > 1;
  ScalingRates scaling;
  if (scales) {
    ASSIGN_OR_RETURN(scaling, MeasureScaling(job, duration));
  }
  ASSIGN_OR_RETURN(const KernelRates rates, MeasureKernels(job, duration));
  if (arguments.verbose) {
    for (const std::string& way : rates.ways) {
      std::fprintf(stderr, "%s\n", way.c_str());
    }
  }
  using Json = nlohmann::ordered_json;
  return Json{
      {"model", job.options.model},
      {"batch_size", job.options.batch_size},
      {"threads", job.options.threads},
      {"workers", job.options.workers},
      {"precision", job.options.precision},
      {"samples_per_s", scales ? scaling.samples_per_s : rates.samples_per_s},
      {"gflops", rates.gflops},
      {"gemm_gflops", rates.gemm_gflops},
      {"fraction", rates.gflops / rates.gemm_gflops},
      {"independent_samples_per_s",
       scales ? Json(scaling.independent_samples_per_s) : Json()},
      {"scaling",
       scales ? Json(scaling.samples_per_s / scaling.independent_samples_per_s)
              : Json()},
      {"optimizer", job.options.optimizer},
      {"device", job.options.device}};
}

void Print(const nlohmann::ordered_json& line) {
  std::printf(
      "%s, batch %d, %s, %d thread(s)\n",
      line["model"].get<std::string>().c_str(), line["batch_size"].get<int>(),
      line["precision"].get<std::string>().c_str(), line["threads"].get<int>());
  std::printf("  one worker   %.1f GFLOP/s of %.1f: %.3f of the limit\n",
              line["gflops"].get<double>(), line["gemm_gflops"].get<double>(),
              line["fraction"].get<double>());
  if (line["scaling"].is_null()) {
    std::printf("  samples      %.0f/s\n", line["samples_per_s"].get<double>());
    return;
  }
  std::printf(
      "  %d workers    %.0f samples/s with downpour (window 5) between them, "
      "%.0f as processes of their own: %.3f\n",
      line["workers"].get<int>(), line["samples_per_s"].get<double>(),
      line["independent_samples_per_s"].get<double>(),
      line["scaling"].get<double>());
}

absl::StatusOr<int> BenchKernels(const Arguments& arguments) {
  ASSIGN_OR_RETURN(const auto line, Measure(arguments));
  if (arguments.flags.json) {
    std::printf("%s\n", line.dump().c_str());
  } else {
    Print(line);
  }
  return 0;
}

int RunBenchKernels(int argc, const char* const* argv) {
  return RunCommand(kProgram, argc, argv, Read, BenchKernels);
}

const RegisterCommand kBenchKernels(
    "bench kernels",
    {.help = "training steps against this machine's matrix-multiply limit",
     .run = RunBenchKernels});

}  // namespace
}  // namespace monsoon
