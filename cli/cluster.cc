// SPDX-License-Identifier: Apache-2.0
#include "cli/cluster.h"

#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/process.h"
#include "base/status_macros.h"

namespace monsoon {
namespace {

constexpr absl::Duration kPortLook = absl::Milliseconds(5);
constexpr absl::Duration kPortTimeout = absl::Seconds(10);
// A worker that gives up tells the servers why, and the others stop by
// themselves: nobody interrupts them while they write that down.
constexpr absl::Duration kSettle = absl::Milliseconds(2500);
// Together with kSettle below 10 s.
constexpr absl::Duration kBrokenGrace = absl::Seconds(4);
constexpr absl::Duration kServerGrace = absl::Seconds(2);
// After a signal: time to pull the center and to write a large model.
constexpr absl::Duration kInterruptGrace = absl::Seconds(30);
constexpr int kLogLines = 10;

bool IsUsageOrData(const ProcessExit& exit) {
  return exit.signal == 0 && (exit.code == 2 || exit.code == 3);
}

}  // namespace

std::string TraceOf(const std::string& folder, int rank) {
  return JoinPath(folder, absl::StrCat("logs/trace-", rank, ".json"));
}

Cluster::Cluster(const ClusterPlan& plan, Clock& clock, FileSystem& files,
                 const std::atomic<int>& stop)
    : plan_(plan), clock_(clock), files_(files), stop_(stop), bell_(clock) {
  // ended_ points into them.
  servers_.reserve(static_cast<size_t>(plan.servers));
  workers_.reserve(static_cast<size_t>(plan.workers));
}

absl::Status Cluster::StartMember(std::vector<Member>& members,
                                  const std::string& kind,
                                  std::vector<std::string> arguments) {
  const size_t index = members.size();
  Member member;
  member.name = absl::StrCat(kind, " ", index);
  member.log =
      JoinPath(plan_.folder, absl::StrCat("logs/", kind, "-", index, ".log"));
  arguments.insert(arguments.begin(),
                   JoinPath(plan_.binaries, absl::StrCat("monsoon-", kind)));
  ASSIGN_OR_RETURN(member.process, Process::Start({std::move(arguments),
                                                   member.log, member.log},
                                                  [this] { bell_.Ring(); }));
  members.push_back(std::move(member));
  return absl::OkStatus();
}

std::string Cluster::PortFile(int server) const {
  return JoinPath(plan_.folder, absl::StrCat("logs/server-", server, ".port"));
}

bool Cluster::ReadPorts() {
  while (addresses_.size() < servers_.size()) {
    const auto port =
        files_.Read(PortFile(static_cast<int>(addresses_.size())));
    if (!port.ok()) return false;
    addresses_.push_back(
        absl::StrCat("127.0.0.1:", absl::StripAsciiWhitespace(*port)));
  }
  return true;
}

absl::StatusOr<bool> Cluster::Start() {
  RETURN_IF_ERROR(files_.MakeFolder(JoinPath(plan_.folder, "logs")));
  for (int i = 0; i < plan_.servers; ++i) {
    std::error_code ignored;  // of a run that was cut short, if at all
    std::filesystem::remove(PortFile(i), ignored);
    RETURN_IF_ERROR(
        StartMember(servers_, "server",
                    {"--listen=127.0.0.1:0", "--port-file=" + PortFile(i)}));
  }
  const bool all = WaitUntil(
      clock_.Now() + kPortTimeout,
      [this] { return ReadPorts() || Notice() || stop_.load() != 0; },
      kPortLook);
  if (!all) late_ = servers_[addresses_.size()].name + " did not listen";
  if (addresses_.size() < servers_.size()) return false;
  for (int i = 0; i < plan_.servers; ++i) {
    std::error_code ignored;
    std::filesystem::remove(PortFile(i), ignored);
  }
  for (int rank = 0; plan_.trace && rank < plan_.workers; ++rank) {
    std::error_code ignored;  // of a run that was cut short
    std::filesystem::remove(TraceOf(plan_.folder, rank), ignored);
  }
  workers_started_ = clock_.Now();
  for (int rank = 0; rank < plan_.workers; ++rank) {
    std::vector<std::string> arguments = plan_.worker_arguments;
    arguments.push_back("--servers=" + absl::StrJoin(addresses_, ","));
    arguments.push_back(absl::StrCat("--rank=", rank));
    if (rank == 0) arguments.push_back("--out=" + plan_.folder);
    if (plan_.trace) {
      arguments.push_back("--trace=" + TraceOf(plan_.folder, rank));
    }
    RETURN_IF_ERROR(StartMember(workers_, "worker", std::move(arguments)));
  }
  return true;
}

bool Cluster::WaitUntil(absl::Time deadline, const std::function<bool()>& done,
                        absl::Duration look) {
  // The bell tells of processes; files and signals are looked for.
  while (!done()) {
    const absl::Time now = clock_.Now();
    if (now >= deadline) return false;
    bell_.Wait(std::min(deadline, now + look));
  }
  return true;
}

bool Cluster::Notice() {
  const auto notice = [this](std::vector<Member>& members, bool may_end) {
    for (Member& member : members) {
      const std::optional<ProcessExit> exit = member.process->exit();
      if (!exit.has_value() || member.noticed) continue;
      member.noticed = true;
      if (!may_end || !exit->ok()) ended_.push_back(&member);
    }
  };
  notice(servers_, /*may_end=*/false);
  notice(workers_, /*may_end=*/true);
  return !ended_.empty();
}

void Cluster::AwaitWorkers() {
  const auto ended = [this] {
    return std::all_of(workers_.begin(), workers_.end(), [](const Member& m) {
      return m.process->exit().has_value();
    });
  };
  WaitUntil(absl::InfiniteFuture(),
            [&] { return Notice() || ended() || stop_.load() != 0; });
  if (stop_.load() != 0) {
    End(workers_, stop_.load(), kInterruptGrace);
    return;
  }
  if (ended()) return;
  const ProcessExit exit = *ended_.front()->process->exit();
  if (exit.signal == 0 && !IsUsageOrData(exit)) {
    WaitUntil(clock_.Now() + kSettle, ended);
    Notice();
  }
  End(workers_, SIGTERM, kBrokenGrace);
}

void Cluster::End(std::vector<Member>& members, int number,
                  absl::Duration grace) {
  for (Member& member : members) {
    if (member.process->exit().has_value()) continue;
    member.noticed = true;
    member.process->Signal(number);
  }
  const auto ended = [&members] {
    return std::all_of(members.begin(), members.end(), [](const Member& m) {
      return m.process->exit().has_value();
    });
  };
  if (WaitUntil(clock_.Now() + grace, ended)) return;
  for (Member& member : members) {
    if (member.process->exit().has_value()) continue;
    if (late_.empty()) {
      late_ = absl::StrCat(member.name, " (pid ", member.process->pid(),
                           ") did not end within ", absl::FormatDuration(grace),
                           " and was killed");
    }
    member.process->Signal(SIGKILL);
  }
  WaitUntil(absl::InfiniteFuture(), ended);
}

const Cluster::Member* Cluster::Culprit() const {
  // A signal is nobody's consequence, nor are wrong settings and data; without
  // a server its workers fail; else whoever came first.
  const auto weight = [this](const Member* member) {
    const ProcessExit exit = *member->process->exit();
    if (exit.signal != 0) return 0;
    if (IsUsageOrData(exit)) return 1;
    return member < servers_.data() + servers_.size() &&
                   member >= servers_.data()
               ? 2
               : 3;
  };
  const auto first =
      std::min_element(ended_.begin(), ended_.end(),
                       [&weight](const Member* a, const Member* b) {
                         return weight(a) < weight(b);
                       });
  return first == ended_.end() ? nullptr : *first;
}

const Cluster::Member* Cluster::Crashed() const {
  for (const Member& worker : workers_) {
    const int number = worker.process->exit()->signal;
    // The others are how one asks for an end.
    if (number != 0 && number != SIGINT && number != SIGTERM) return &worker;
  }
  return nullptr;
}

std::string Cluster::Describe(const Member& member,
                              absl::string_view what) const {
  return absl::StrCat(
      member.name, " (pid ", member.process->pid(), ")", what,
      DescribeExit(*member.process->exit()), "; the last lines of ", member.log,
      ":\n",
      LastLines(files_.Read(member.log).value_or(""), kLogLines, "  | "));
}

std::vector<int64_t> Cluster::server_pids() const {
  std::vector<int64_t> pids;
  for (const Member& member : servers_) pids.push_back(member.process->pid());
  return pids;
}

ClusterEnd Cluster::Finish() {
  End(servers_, SIGTERM, kServerGrace);
  ClusterEnd end;
  end.workers_started = workers_started_;
  end.peak_rss_bytes = ThisProcess().peak_rss_bytes;
  for (const auto* members : {&servers_, &workers_}) {
    for (const Member& member : *members) {
      end.peak_rss_bytes += member.process->exit()->peak_rss_bytes;
    }
  }
  const bool interrupted = stop_.load() != 0;
  const Member* culprit = Culprit();
  if (culprit != nullptr && !interrupted) {
    const ProcessExit exit = *culprit->process->exit();
    end.exit_code = IsUsageOrData(exit) ? exit.code : 1;
    end.cause = Describe(*culprit, " ended first: ");
  } else if (!late_.empty()) {
    end.exit_code = 1;
    end.cause = late_ + "\n";
  } else if (const Member* crashed = Crashed(); crashed != nullptr) {
    end.exit_code = 1;
    end.cause = Describe(*crashed, " crashed as it was asked to end: ");
  } else if (interrupted) {
    const bool done =
        !workers_.empty() &&
        std::all_of(workers_.begin(), workers_.end(), [](const Member& member) {
          return member.process->exit()->ok();
        });
    end.exit_code = done ? 0 : 128 + stop_.load();
  }
  return end;
}

}  // namespace monsoon
