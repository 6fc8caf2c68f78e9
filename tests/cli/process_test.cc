// SPDX-License-Identifier: Apache-2.0
#include "cli/process.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/filesystem.h"
#include "cli/bell.h"

namespace monsoon {
namespace {

// Starts `sh -c script` and waits for its end.
ProcessExit RunShell(const std::string& script, const std::string& out = "") {
  Bell bell(RealClock());
  auto process = Process::Start({{"/bin/sh", "-c", script}, out, out},
                                [&bell] { bell.Ring(); });
  REQUIRE(process.ok());
  REQUIRE(bell.Wait(RealClock().Now() + absl::Seconds(20)));
  REQUIRE((*process)->exit().has_value());
  return *(*process)->exit();
}

std::string TemporaryFile() {
  return (std::filesystem::temp_directory_path() /
          ("monsoon_process_test_" + std::to_string(::getpid())))
      .string();
}

TEST_CASE("a process says with which code it ended") {
  const ProcessExit exit = RunShell("exit 3");
  CHECK(exit.code == 3);
  CHECK(exit.signal == 0);
  CHECK_FALSE(exit.ok());
  CHECK(DescribeExit(exit) == "exit code 3");
  CHECK(RunShell("exit 0").ok());
}

TEST_CASE("a process says which signal killed it") {
  const ProcessExit exit = RunShell("kill -9 $$");
  CHECK(exit.signal == SIGKILL);
  CHECK_FALSE(exit.ok());
  CHECK(DescribeExit(exit) == "killed by signal 9 (SIGKILL)");
}

TEST_CASE("a process tells the memory that it held") {
  const ProcessExit exit = RunShell("true");
  CHECK(exit.peak_rss_bytes > 100'000);
  CHECK(exit.peak_rss_bytes < 1'000'000'000);
}

TEST_CASE("a process tells the time of the processors that it used") {
  CHECK(RunShell("true").processor_s < 0.5);
  // Its own and that of a child it waits for.
  const char kLoop[] = "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done";
  const double own = RunShell(kLoop).processor_s;
  CHECK(own > 0.005);
  const std::string child = absl::StrCat(kLoop, "; ", kLoop, "; ", kLoop);
  const double both =
      RunShell(absl::StrCat(kLoop, "; (", child, ")")).processor_s;
  CHECK(both > 2 * own);  // about four times as long
}

TEST_CASE("a process gets what is added to the environment, and the rest") {
  REQUIRE(::setenv("MONSOON_TEST_OLD", "kept", 1) == 0);
  REQUIRE(::setenv("MONSOON_TEST_NEW", "replaced", 1) == 0);
  const std::string file = TemporaryFile();
  Bell bell(RealClock());
  auto process = Process::Start(
      {.arguments = {"/bin/sh", "-c",
                     "echo $MONSOON_TEST_OLD $MONSOON_TEST_NEW; env | grep -c "
                     "^MONSOON_TEST_NEW="},
       .stdout_file = file,
       .environment = {"MONSOON_TEST_NEW=added = here"}},
      [&bell] { bell.Ring(); });
  REQUIRE(process.ok());
  REQUIRE(bell.Wait(RealClock().Now() + absl::Seconds(20)));
  const auto output = RealFileSystem().Read(file);
  std::filesystem::remove(file);
  CHECK(output.value() == "kept added = here\n1\n");
  CHECK(std::string(::getenv("MONSOON_TEST_NEW")) == "replaced");
  ::unsetenv("MONSOON_TEST_OLD");
  ::unsetenv("MONSOON_TEST_NEW");
}

TEST_CASE("the output of a process replaces its file, errors beside it") {
  const std::string file = TemporaryFile();
  REQUIRE(RealFileSystem().Write(file, "what was there before").ok());
  RunShell("echo one; echo two >&2; echo three", file);
  const auto output = RealFileSystem().Read(file);
  std::filesystem::remove(file);
  REQUIRE(output.ok());
  CHECK(*output == "one\ntwo\nthree\n");
}

TEST_CASE("a process gets signals until it has ended, and none after") {
  Bell bell(RealClock());
  auto process =
      Process::Start({{"/bin/sleep", "60"}, "", ""}, [&bell] { bell.Ring(); });
  REQUIRE(process.ok());
  CHECK_FALSE((*process)->exit().has_value());
  (*process)->Signal(SIGTERM);
  REQUIRE(bell.Wait(RealClock().Now() + absl::Seconds(20)));
  REQUIRE((*process)->exit().has_value());
  CHECK((*process)->exit()->signal == SIGTERM);
  (*process)->Signal(SIGKILL);
  CHECK((*process)->exit()->signal == SIGTERM);
}

TEST_CASE("a process that is given up is killed") {
  std::atomic<int> ends = 0;
  pid_t pid = 0;
  {
    auto process =
        Process::Start({{"/bin/sleep", "60"}, "", ""}, [&ends] { ++ends; });
    REQUIRE(process.ok());
    pid = (*process)->pid();
    CHECK(::kill(pid, 0) == 0);
  }
  CHECK(ends == 1);
  CHECK(::kill(pid, 0) != 0);
}

TEST_CASE("a process has a group of its own and default signals") {
  // Field 5 of stat is the group; a process that leads one has it as its pid.
  const ProcessExit exit = RunShell(
      "set -- $(cat /proc/$$/stat); test $1 = $5 && "
      "grep -q 'SigBlk:.0000000000000000' /proc/self/status");
  CHECK(exit.ok());
}

TEST_CASE("a process dies with its parent, even when that is killed") {
  const std::string file = TemporaryFile();
  // The child of a child of this test: the middle one dies by SIGKILL.
  const pid_t middle = ::fork();
  if (middle == 0) {
    auto process = Process::Start(
        {{"/bin/sh", "-c", "echo $$; exec sleep 60"}, file, ""}, [] {});
    Bell(RealClock()).Wait(RealClock().Now() + absl::Seconds(30));
    ::_exit(0);
  }
  Bell pause(RealClock());
  pid_t leaf = 0;
  for (int i = 0; i < 500 && leaf == 0; ++i) {
    pause.Wait(RealClock().Now() + absl::Milliseconds(10));
    leaf = std::atoi(RealFileSystem().Read(file).value_or("").c_str());
  }
  ::kill(middle, SIGKILL);
  std::filesystem::remove(file);
  REQUIRE(leaf > 0);
  const std::string stat = "/proc/" + std::to_string(leaf) + "/stat";
  const auto ended = [&stat] {  // gone, or waiting for whoever reaps it
    const std::string text = RealFileSystem().Read(stat).value_or("");
    return text.empty() || text.find(") Z ") != std::string::npos;
  };
  for (int i = 0; i < 500 && !ended(); ++i) {
    pause.Wait(RealClock().Now() + absl::Milliseconds(10));
  }
  CHECK(ended());
}

TEST_CASE("a binary that is not there is not found, by name") {
  const auto process =
      Process::Start({{"/nowhere/monsoon-server"}, "", ""}, [] {});
  CHECK(process.status().code() == absl::StatusCode::kNotFound);
  CHECK(std::string(process.status().message()) ==
        "cannot start \"/nowhere/monsoon-server\": No such file or directory");
}

TEST_CASE("an output file that cannot be made is an error") {
  const auto process =
      Process::Start({{"/bin/true"}, "/nowhere/log", ""}, [] {});
  CHECK(process.status().code() == absl::StatusCode::kInternal);
}

TEST_CASE("the last lines of a log are cut out and indented") {
  CHECK(LastLines("a\nb\n\nc\n", 2, "  ") == "  b\n  c\n");
  CHECK(LastLines("a", 5, "> ") == "> a\n");
  CHECK(LastLines("", 5, "> ").empty());
}

}  // namespace
}  // namespace monsoon
