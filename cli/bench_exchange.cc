// SPDX-License-Identifier: Apache-2.0
//
// monsoon bench exchange: how near pushes and pulls come to what the machine
// can move.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <system_error>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/command_line.h"
#include "base/random_id.h"
#include "base/spelling.h"
#include "base/status_macros.h"
#include "base/stop_signal.h"
#include "cli/command.h"
#include "cli/exchange_rates.h"
#include "worker/finish.h"
#include "worker/options.h"

namespace monsoon {
namespace {

constexpr char kProgram[] = "monsoon bench exchange";

struct Arguments {
  ExchangeJob job;
  std::string wire = "fp32";
  double seconds = 5;
  bool json = false;
  std::string help;
};

template <typename Number>
absl::Status ReadNumber(const char* flag, const std::string& text,
                        int64_t least, int64_t most, Number& number) {
  int64_t found = 0;
  if (absl::SimpleAtoi(text, &found) && found >= least && found <= most) {
    number = static_cast<Number>(found);
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat(flag, ": found \"", text,
                   "\", expected a whole number from ", least, " to ", most));
}

absl::Status CheckName(const char* flag, const std::string& name,
                       const std::vector<std::string>& accepted) {
  for (const std::string& known : accepted) {
    if (name == known) return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat(flag, ": ", UnknownName("name", name, accepted)));
}

// What is not text in the job.
struct Texts {
  std::string bytes, workers = "1", servers = "1", seconds = "5";
};

void AddFlags(CLI::App& app, Arguments& arguments, Texts& texts) {
  const auto add = [&app](const char* flag, std::string& value,
                          const char* help, const char* type) {
    app.add_option(flag, value, help)
        ->type_name(type)
        ->capture_default_str()
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  };
  add("--transport", arguments.job.transport,
      "grpc, shm (for both, servers are processes of their own) or inproc",
      "NAME");
  add("--bytes", texts.bytes, "size of the model in fp32", "N");
  add("--workers", texts.workers,
      "threads that exchange, each with connections of "
      "its own",
      "N");
  add("--servers", texts.servers, "among which the model is cut up", "N");
  add("--wire", arguments.wire,
      "how values travel: fp32, bf16, fp16, int8, onebit or topk:FRACTION; of "
      "pushes, and of replies",
      "CODE[,CODE]");
  add("--device", arguments.job.device,
      "where the workers' vectors lie: cpu, cuda (the GPUs in turn), cuda:N, "
      "or "
      "auto",
      "NAME");
  add("--server-device", arguments.job.server_device,
      "where the servers keep the parameters, likewise; inproc alone", "NAME");
  add("--seconds", texts.seconds, "how long to exchange", "S");
  app.add_flag("--json", arguments.json, "print one JSON object");
}

absl::Status ReadTexts(const Texts& texts, Arguments& arguments) {
  ExchangeJob& job = arguments.job;
  RETURN_IF_ERROR(
      ReadNumber("--bytes", texts.bytes, 4, int64_t{1} << 34, job.bytes));
  RETURN_IF_ERROR(ReadNumber("--workers", texts.workers, 1, 1024, job.workers));
  RETURN_IF_ERROR(ReadNumber("--servers", texts.servers, 1, 1024, job.servers));
  if (job.bytes % static_cast<int64_t>(sizeof(float)) != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--bytes: found ", job.bytes, ", expected a multiple of 4"));
  }
  if (!absl::SimpleAtod(texts.seconds, &arguments.seconds) ||
      !(arguments.seconds >= 0.1 && arguments.seconds <= 3600)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--seconds: found \"", texts.seconds,
                     "\", expected a number from 0.1 to 3600"));
  }
  return absl::OkStatus();
}

absl::Status Read(int argc, const char* const* argv, Arguments& arguments) {
  CLI::App app(
      "Times pushes of an update that pull the new center, and in turn what "
      "they cannot beat: a raw TCP connection and bare gRPC over loopback, "
      "axpy in memory, or copies to a GPU and back.",
      kProgram);
  ExchangeJob& job = arguments.job;
  Texts texts{.bytes = absl::StrCat(job.bytes)};
  AddFlags(app, arguments, texts);
  RETURN_IF_ERROR(ParseCommandLine(app, argc, argv, arguments.help));
  if (!arguments.help.empty()) return absl::OkStatus();
  RETURN_IF_ERROR(
      CheckName("--transport", job.transport, {"grpc", "shm", "inproc"}));
  const absl::StatusOr<WireNames> wire = ParseWire(arguments.wire);
  if (!wire.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--wire ", arguments.wire, ": ", wire.status().message()));
  }
  job.wire = *wire;
  // The devices that a training with these could have.
  Options options{.trainer = "downpour",
                  .wire = job.wire.text(),
                  .device = job.device,
                  .server_device = job.server_device,
                  .transport = job.transport};
  RETURN_IF_ERROR(ResolveOptions(options));
  job.device = options.device;
  job.server_device = options.server_device;
  return ReadTexts(texts, arguments);
}

nlohmann::ordered_json Describe(const Arguments& arguments,
                                const ExchangeRates& rates) {
  const ExchangeJob& job = arguments.job;
  using Json = nlohmann::ordered_json;
  const bool in_memory = job.transport == "inproc";
  // The copies are the way of the values there; between GPUs it is shorter, and
  // nothing of it is measured.
  const bool of_gpus = job.device != "cpu" && job.server_device != "cpu";
  const bool over_pcie =
      in_memory && (job.device != "cpu" || job.server_device != "cpu");
  // What the arithmetic alone moves for a parameter: the update is read, the
  // center read and written, the reply written.
  constexpr double kInMemory = 16;
  const double limit = over_pcie   ? rates.pcie_bytes_per_s
                       : in_memory ? rates.axpy_bytes_per_s
                                   : rates.tcp_bytes_per_s;
  const double reached = in_memory && !over_pcie
                             ? kInMemory * rates.params_per_s
                             : rates.bytes_per_s;
  const auto measured = [](double value) {
    return value > 0 ? Json(value) : Json();
  };
  return Json{{"transport", job.transport},
              {"bytes", job.bytes},
              {"wire", job.wire.text()},
              {"workers", job.workers},
              {"servers", job.servers},
              {"exchanges", rates.exchanges},
              {"elapsed_s", rates.elapsed_s},
              {"bytes_per_s", rates.bytes_per_s},
              {"params_per_s", rates.params_per_s},
              {"p50_ms", rates.p50_ms},
              {"p99_ms", rates.p99_ms},
              {"cpu_s_per_gb", rates.cpu_s_per_gb},
              {"limit", of_gpus ? Json()
                                : Json(over_pcie   ? "pcie"
                                       : in_memory ? "axpy"
                                                   : "tcp")},
              {"limit_bytes_per_s", of_gpus ? Json() : Json(limit)},
              {"fraction", of_gpus ? Json() : Json(reached / limit)},
              {"grpc_echo_bytes_per_s", measured(rates.echo_bytes_per_s)},
              {"empty_call_ms", measured(rates.empty_call_ms)},
              {"axpy_bytes_per_s", rates.axpy_bytes_per_s},
              {"memcpy_bytes_per_s", rates.copy_bytes_per_s},
              {"device", job.device},
              {"server_device", job.server_device},
              {"pcie_bytes_per_s", measured(rates.pcie_bytes_per_s)}};
}

void Print(const nlohmann::ordered_json& line) {
  const auto number = [&line](const char* key) {
    return line[key].get<double>();
  };
  std::printf("%s, %.0f bytes, %d worker(s), %d server(s)\n",
              line["transport"].get<std::string>().c_str(), number("bytes"),
              line["workers"].get<int>(), line["servers"].get<int>());
  std::printf(
      "  exchanges    %.2f GB/s both ways, %.3g ms (99 %%: %.3g ms), "
      "%.2f processor seconds a GB\n",
      1e-9 * number("bytes_per_s"), number("p50_ms"), number("p99_ms"),
      number("cpu_s_per_gb"));
  if (!line["limit"].is_null()) {
    std::printf("  %-4s         %.2f GB/s: %.2f of it reached\n",
                line["limit"].get<std::string>().c_str(),
                1e-9 * number("limit_bytes_per_s"), number("fraction"));
  }
  if (!line["grpc_echo_bytes_per_s"].is_null()) {
    std::printf("  bare gRPC    %.2f GB/s, %.3g ms without a message\n",
                1e-9 * number("grpc_echo_bytes_per_s"),
                number("empty_call_ms"));
  }
}

absl::StatusOr<int> Exchange(const Arguments& arguments) {
  std::error_code ignored;
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path(ignored) /
      absl::StrCat("monsoon-bench-", absl::Hex(RandomId()));
  const auto rates = MeasureExchange(
      arguments.job, absl::Seconds(arguments.seconds), folder.string());
  std::filesystem::remove_all(folder, ignored);
  if (!rates.ok()) {
    return FailOrStop(kProgram, rates.status(), CatchStopSignals().load());
  }
  const nlohmann::ordered_json line = Describe(arguments, *rates);
  if (arguments.json) {
    std::printf("%s\n", line.dump().c_str());
  } else {
    Print(line);
  }
  return 0;
}

int RunBenchExchange(int argc, const char* const* argv) {
  return RunCommand(kProgram, argc, argv, Read, Exchange);
}

const RegisterCommand kBenchExchange(
    "bench exchange",
    {.help = "pushes and pulls against what this machine can move",
     .run = RunBenchExchange});

}  // namespace
}  // namespace monsoon
