// SPDX-License-Identifier: Apache-2.0
//
// monsoon doctor: what is wrong with this machine, network, data or cluster.
#include <google/protobuf/stubs/common.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "base/clock.h"
#include "base/command_line.h"
#include "base/status_macros.h"
#include "cli/check.h"
#include "cli/command.h"
#include "cli/machine.h"
#include "cli/machine_checks.h"
#include "cli/port_check.h"
#include "cli/server_checks.h"
#include "cuda/cuda.h"
#include "data/dataset.h"
#include "report/report_json.h"
#include "watch/display_text.h"

namespace monsoon {
namespace {

constexpr char kProgram[] = "monsoon doctor";
constexpr char kDefaultData[] = "fashion-mnist";
constexpr char kDefaultListen[] = "127.0.0.1:7001";

struct Arguments {
  std::vector<Address> servers;
  std::string data;  // empty: was not given
  Address listen;
  bool listen_given = false;
  absl::Duration connect_timeout;
  bool json = false;
  std::string help;
};

absl::StatusOr<Address> ReadAddress(const char* flag, absl::string_view text) {
  auto address = ParseAddress(text);
  if (address.ok()) return address;
  return absl::InvalidArgumentError(
      absl::StrCat(flag, ": ", address.status().message()));
}

absl::Status ReadServers(const std::string& text,
                         std::vector<Address>& servers) {
  if (text.empty()) return absl::OkStatus();
  for (const absl::string_view one : absl::StrSplit(text, ',')) {
    ASSIGN_OR_RETURN(Address address, ReadAddress("--servers", one));
    if (address.port == 0) {
      return absl::InvalidArgumentError(absl::StrCat(
          "--servers: \"", one,
          "\" has port 0, expected the one on which the server says that it "
          "listens, 1 to 65535"));
    }
    servers.push_back(std::move(address));
  }
  return absl::OkStatus();
}

absl::Status Read(int argc, const char* const* argv, Arguments& arguments) {
  CLI::App app(
      "Says what is wrong with this machine, its network and data, and with "
      "servers, and what to do. Exit code 1 when something is bad.",
      kProgram);
  std::string servers, listen = kDefaultListen, timeout = "5";
  const auto add = [&app](const char* flag, std::string& value,
                          const char* help, const char* type) {
    return app.add_option(flag, value, help)
        ->type_name(type)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  };
  add("--servers", servers, "servers to reach and to measure", "HOST:PORT,...");
  add("--data", arguments.data,
      "data set to look at; without it a missing fashion-mnist is a note",
      "NAME[:DIR]");
  const CLI::Option* given =
      add("--listen", listen, "where a server is to listen", "HOST:PORT")
          ->capture_default_str();
  add("--connect-timeout", timeout, "how long servers are awaited", "SECONDS")
      ->capture_default_str();
  app.add_flag("--json", arguments.json, "print one JSON object");
  RETURN_IF_ERROR(ParseCommandLine(app, argc, argv, arguments.help));
  if (!arguments.help.empty()) return absl::OkStatus();
  RETURN_IF_ERROR(ReadServers(servers, arguments.servers));
  ASSIGN_OR_RETURN(arguments.listen, ReadAddress("--listen", listen));
  arguments.listen_given = given->count() > 0;
  double seconds = 0;
  if (!absl::SimpleAtod(timeout, &seconds) ||
      !(seconds >= 0.1 && seconds <= 3600)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--connect-timeout: found \"", timeout,
                     "\", expected a number from 0.1 to 3600"));
  }
  arguments.connect_timeout = absl::Seconds(seconds);
  return absl::OkStatus();
}

// INVALID_ARGUMENT when no such data set can be loaded by anyone.
absl::StatusOr<Checks> CheckData(const std::string& given, FileSystem& files) {
  Section section("data");
  const std::string spec = given.empty() ? kDefaultData : given;
  for (const auto& [name, split] :
       {std::pair("train", Split::kTrain), std::pair("test", Split::kTest)}) {
    const auto data = LoadDataset(spec, split, files);
    if (absl::IsInvalidArgument(data.status())) {
      return absl::InvalidArgumentError(
          absl::StrCat("--data: ", data.status().message()));
    }
    if (data.ok()) {
      section.Good(absl::StrCat(spec, " ", name),
                   absl::StrFormat("%d examples of %d x %d x %d bytes, %d "
                                   "classes, hash %s",
                                   data->size(), data->channels, data->height,
                                   data->width, data->classes, data->hash));
      continue;
    }
    // What was found; what to do.
    const std::string message(data.status().message());
    const size_t cut = message.rfind("; ");
    const std::string found = message.substr(0, cut);
    const std::string advice = cut == std::string::npos
                                   ? "see that the file can be read"
                                   : message.substr(cut + 2);
    const std::string what = absl::StrCat(spec, " ", name);
    if (given.empty() && absl::IsNotFound(data.status())) {
      section.Note(what, found, "its files, on a machine with workers", advice);
    } else {
      section.Bad(what, found, "its files", advice);
    }
  }
  return section.checks();
}

Checks Versions(FileSystem& files) {
  Section section("versions");
  const nlohmann::ordered_json machine = DescribeMachine(files);
  for (const auto& [name, version] : machine["versions"].items()) {
    section.Good(name, version.is_string() ? version.get<std::string>()
                                           : version.dump());
  }
  section.Good("protobuf", google::protobuf::internal::VersionString(
                               GOOGLE_PROTOBUF_VERSION));
  return section.checks();
}

const char* NameOf(Verdict verdict) {
  if (verdict == Verdict::kGood) return "good";
  return verdict == Verdict::kNote ? "note" : "bad";
}

// Says each section as soon as it is known; counts.
class Findings {
 public:
  explicit Findings(bool json) : is_json_(json) {}

  void Add(const Checks& checks) {
    for (const Check& check : checks) {
      ++counts_[static_cast<size_t>(check.verdict)];
      if (is_json_) {
        list_.push_back({{"section", check.section},
                         {"name", check.name},
                         {"verdict", NameOf(check.verdict)},
                         {"found", check.found},
                         {"expected", check.expected},
                         {"advice", check.advice}});
      } else {
        Print(check);
      }
    }
    std::fflush(stdout);
  }

  // Returns the exit code.
  int End() {
    const auto [good, notes, bad] = counts_;
    if (is_json_) {
      const nlohmann::ordered_json all = {{"checks", list_}, {"bad", bad}};
      std::printf("%s\n", DumpJson(all, -1).c_str());
    } else {
      std::printf("\n%d good, %d to note, %d bad\n", good, notes, bad);
    }
    return bad > 0 ? 1 : 0;
  }

 private:
  void Print(const Check& check) {
    if (check.section != section_) {
      section_ = check.section;
      std::printf("%s\n", section_.c_str());
    }
    // Servers say some of it: nothing that a terminal would obey.
    std::printf("  %-4s  %-16s  %s\n", NameOf(check.verdict),
                Printable(check.name, true).c_str(),
                Printable(check.found, true).c_str());
    if (check.verdict == Verdict::kGood) return;
    if (!check.expected.empty()) {
      std::printf("        %-16s  expected: %s\n", "",
                  Printable(check.expected, true).c_str());
    }
    std::printf("        %-16s  do: %s\n", "",
                Printable(check.advice, true).c_str());
  }

  const bool is_json_;
  std::array<int, 3> counts_ = {};  // by Verdict
  std::string section_;
  nlohmann::ordered_json list_ = nlohmann::ordered_json::array();
};

absl::StatusOr<int> Examine(const Arguments& arguments) {
  FileSystem& files = RealFileSystem();
  ASSIGN_OR_RETURN(const Checks data, CheckData(arguments.data, files));
  const Readings readings = TakeReadings();
  Findings findings(arguments.json);
  findings.Add(CheckProcessor(files, readings));
  findings.Add(CheckMemory(files, readings));
  findings.Add(CheckLimits(files));
  findings.Add(CheckClock(readings));
  findings.Add(CheckGpu(files, CudaVersions(), CudaDevices()));
  findings.Add(data);
  findings.Add(CheckPort(files, arguments.listen, arguments.listen_given));
  findings.Add(
      CheckServers(arguments.servers, arguments.connect_timeout, RealClock()));
  findings.Add(Versions(files));
  return findings.End();
}

int RunDoctor(int argc, const char* const* argv) {
  return RunCommand(kProgram, argc, argv, Read, Examine);
}

const RegisterCommand kDoctor(
    "doctor", {.help = "what is wrong with this machine, network, data or "
                       "servers",
               .run = RunDoctor});

}  // namespace
}  // namespace monsoon
