// SPDX-License-Identifier: Apache-2.0
#include "cli/server_checks.h"

#include <algorithm>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "cli/median.h"
#include "cli/tcp_reach.h"
#include "transport/grpc_client.h"

namespace monsoon {
namespace {

constexpr int kCalls = 100;
constexpr absl::Duration kSlowCall = absl::Milliseconds(5);
// What a worker has in flight with one server.
constexpr int kInFlight = 4;
constexpr int64_t kMostBytes = int64_t{1} << 20;
constexpr int64_t kLeastBytes = int64_t{16} << 10;
constexpr absl::Duration kLongCall = absl::Milliseconds(20);
// A job that comes waits for no longer than this.
constexpr absl::Duration kSlice = absl::Milliseconds(250);
constexpr int kSlices = 4;
constexpr double kSlowBytes = 100e6;  // a second: not much less than a gigabit
// Of the models mlp and cnn, one way.
constexpr double kModelBytes = 4.2e6;

constexpr char kFasterAdvice[] =
    "let workers exchange less often (--set window=N) or less (--wire bf16), "
    "or beside their steps (--overlap)";

// A server that is being looked at.
struct Patient {
  explicit Patient(const Address& its)
      : address(its), section("server " + its.text()) {}

  Address address;
  Section section;
  std::unique_ptr<GrpcClient> client;  // null: there is nobody to talk to
};

// Whether a job runs there now.
bool IsBusy(GrpcClient& client, pb::JobStatus& job) {
  return client.GetJob({}, job).ok() && !job.over();
}

// ---- Is it there?
// ------------------------------------------------------------

bool Reach(Patient& patient, absl::Duration timeout, Clock& clock) {
  Section& section = patient.section;
  const absl::Time begin = clock.Now();
  const auto found = Resolve(patient.address, timeout, clock);
  if (!found.ok()) {
    section.Bad("name", std::string(found.status().message()),
                "the address of a host",
                "see that the name is right and known here (DNS, /etc/hosts), "
                "or give the address in numbers");
    return false;
  }
  section.Good("name", found->front().text);
  const Reached reached = Connect(*found, timeout);
  if (!reached.problem.empty()) {
    section.Bad("connection", reached.problem, "a connection", reached.advice);
    return false;
  }
  section.Good("connection",
               absl::StrFormat("open after %.3g ms", absl::ToDoubleMilliseconds(
                                                         clock.Now() - begin)));
  return true;
}

// The first words with what is there.
void Greet(Patient& patient, absl::Duration timeout, Clock& clock) {
  Section& section = patient.section;
  if (!Reach(patient, timeout, clock)) return;
  auto client = GrpcClient::Create(patient.address.text(), clock);
  const absl::Status answers =
      client.ok() ? (*client)->WaitConnected(clock.Now() + timeout)
                  : client.status();
  if (!answers.ok()) {
    return section.Bad("answer", std::string(answers.message()),
                       "a monsoon-server",
                       "something else has that port: start monsoon-server "
                       "with another --listen, and name that");
  }
  section.Good("answer", "it is a monsoon-server");
  patient.client = *std::move(client);
}

// ---- How is it?
// --------------------------------------------------------------

void CheckHealth(GrpcClient& client, Section& section) {
  const absl::Status health = client.CheckHealth();
  if (health.ok()) {
    section.Good("health", "SERVING");
  } else if (absl::IsUnimplemented(health)) {
    section.Note("health", "it does not say", "SERVING",
                 "it is older than this program: use one version everywhere");
  } else {
    section.Bad("health", std::string(health.message()), "SERVING",
                "it is about to end: see its log, and start it again");
  }
}

// Whether a job runs.
bool CheckJob(GrpcClient& client, Section& section) {
  pb::JobStatus job;
  if (IsBusy(client, job)) {
    section.Good(
        "job",
        absl::StrFormat(
            "%s with %d of %d workers runs%s%s", job.spec().trainer(),
            job.members_size(), job.spec().workers(),
            job.stop().empty() ? "" : ", and was stopped: ", job.stop()));
    return true;
  }
  section.Good("job", job.job_id() == 0 ? "none" : "the last one has ended");
  return false;
}

// False: it knows no Probe, and cannot be measured.
bool CheckVersion(GrpcClient& client, Section& section) {
  constexpr char kAdvice[] =
      "install the same version on this machine and there, and start the "
      "server again";
  pb::ProbeReply reply;
  const absl::Status status = client.Probe({}, reply);
  if (!status.ok()) {
    section.Bad("version",
                absl::IsUnimplemented(status)
                    ? "it does not say: it is older than this program"
                    : std::string(status.message()),
                MONSOON_VERSION, kAdvice);
    return false;
  }
  const std::string found = absl::StrFormat(
      "%s (pid %d on %s)", reply.version(), reply.pid(), reply.host());
  if (reply.version() == MONSOON_VERSION) {
    section.Good("version", found, MONSOON_VERSION);
  } else {
    section.Bad("version", found, MONSOON_VERSION, kAdvice);
  }
  return true;
}

void CheckRoundTrip(GrpcClient& client, Clock& clock, Section& section) {
  std::vector<double> times_ms;
  for (int i = 0; i < kCalls; ++i) {
    const absl::Time begin = clock.Now();
    pb::ProbeReply reply;
    const absl::Status status = client.Probe({}, reply);
    if (!status.ok()) {
      return section.Bad("round trip", std::string(status.message()),
                         absl::StrFormat("%d answers", kCalls),
                         "see the server's log, and whether the network drops "
                         "packets (ping)");
    }
    times_ms.push_back(absl::ToDoubleMilliseconds(clock.Now() - begin));
  }
  const double median = Median(times_ms);
  const std::string found =
      absl::StrFormat("%.3g ms (median of %d, worst %.3g ms)", median, kCalls,
                      *std::max_element(times_ms.begin(), times_ms.end()));
  const std::string expected =
      absl::StrCat("at most ", absl::FormatDuration(kSlowCall));
  if (absl::Milliseconds(median) <= kSlowCall) {
    section.Good("round trip", found, expected);
  } else {
    section.Note("round trip", found, expected, kFasterAdvice);
  }
}

// ---- How fast?
// ---------------------------------------------------------------

pb::ProbeRequest Message(bool up, int64_t bytes) {
  pb::ProbeRequest request;
  if (up) {
    request.mutable_values()->resize(static_cast<size_t>(bytes));
  } else {
    request.set_reply_bytes(bytes);
  }
  return request;
}

// As many bytes as take a while, so that little ones do not hide a fast network
// nor large ones overrun on a slow one. Warms the connection up, too.
absl::StatusOr<int64_t> MessageBytes(GrpcClient& client, bool up,
                                     Clock& clock) {
  int64_t bytes = kLeastBytes;
  for (; bytes < kMostBytes; bytes *= 2) {
    const absl::Time begin = clock.Now();
    pb::ProbeReply reply;
    RETURN_IF_ERROR(client.Probe(Message(up, bytes), reply));
    if (clock.Now() - begin > kLongCall) break;
  }
  return bytes;
}

// Sends messages for a while, as many at once as a worker does; bytes moved.
absl::StatusOr<int64_t> MoveBytes(GrpcClient& client, bool up, int64_t bytes,
                                  Clock& clock) {
  const pb::ProbeRequest request = Message(up, bytes);
  const absl::Time end = clock.Now() + kSlice;
  std::vector<absl::Status> statuses(kInFlight);
  std::vector<int64_t> moved(kInFlight);
  std::vector<std::thread> threads;
  for (int i = 0; i < kInFlight; ++i) {
    threads.emplace_back([&, i] {
      do {
        pb::ProbeReply reply;
        statuses[i] = client.Probe(request, reply);
        if (!statuses[i].ok()) return;
        moved[i] += bytes;
      } while (clock.Now() < end);
    });
  }
  for (std::thread& thread : threads) thread.join();
  int64_t sum = 0;
  for (int i = 0; i < kInFlight; ++i) {
    RETURN_IF_ERROR(statuses[i]);
    sum += moved[i];
  }
  return sum;
}

constexpr char kBusy[] = "a job runs there";

// Bytes a second; ABORTED, with kBusy, when a job comes.
absl::StatusOr<double> Bandwidth(GrpcClient& client, bool up, Clock& clock) {
  ASSIGN_OR_RETURN(const int64_t bytes, MessageBytes(client, up, clock));
  int64_t moved = 0;
  absl::Duration passed;
  for (int i = 0; i < kSlices; ++i) {
    pb::JobStatus job;
    if (IsBusy(client, job)) return absl::AbortedError(kBusy);
    const absl::Time begin = clock.Now();
    ASSIGN_OR_RETURN(const int64_t more, MoveBytes(client, up, bytes, clock));
    passed += clock.Now() - begin;
    moved += more;
  }
  return static_cast<double>(moved) / absl::ToDoubleSeconds(passed);
}

void SayBusy(const std::string& name, Section& section) {
  section.Note(name, absl::StrCat("not measured: ", kBusy), "",
               "ask again when it has ended: what is measured would be taken "
               "from it");
}

void CheckBandwidth(GrpcClient& client, bool up, Clock& clock,
                    Section& section) {
  const std::string name = up ? "bandwidth there" : "bandwidth back";
  const auto rate = Bandwidth(client, up, clock);
  if (absl::IsAborted(rate.status())) return SayBusy(name, section);
  if (!rate.ok()) {
    return section.Bad(name, std::string(rate.status().message()), "",
                       "see the server's log, and whether the network drops "
                       "large packets (ping -s 1400)");
  }
  const std::string found =
      absl::StrFormat("%.4g MB/s: mlp or cnn in %.3g ms", 1e-6 * *rate,
                      1e3 * kModelBytes / *rate);
  const std::string expected =
      absl::StrFormat("%.0f MB/s or more", 1e-6 * kSlowBytes);
  if (*rate >= kSlowBytes) {
    section.Good(name, found, expected);
  } else {
    section.Note(name, found, expected, kFasterAdvice);
  }
}

void Examine(Patient& patient, Clock& clock) {
  if (patient.client == nullptr) return;
  GrpcClient& client = *patient.client;
  Section& section = patient.section;
  CheckHealth(client, section);
  const bool is_busy = CheckJob(client, section);
  if (!CheckVersion(client, section)) return;
  CheckRoundTrip(client, clock, section);
  for (const bool up : {true, false}) {
    if (is_busy) {
      SayBusy(up ? "bandwidth there" : "bandwidth back", section);
    } else {
      CheckBandwidth(client, up, clock, section);
    }
  }
}

}  // namespace

Checks CheckServers(const std::vector<Address>& servers, absl::Duration timeout,
                    Clock& clock) {
  std::vector<Patient> patients(servers.begin(), servers.end());
  std::vector<std::thread> threads;
  for (Patient& patient : patients) {
    threads.emplace_back([&] { Greet(patient, timeout, clock); });
  }
  for (std::thread& thread : threads) thread.join();
  Checks checks;
  for (Patient& patient : patients) {
    Examine(patient, clock);
    const Checks& its = patient.section.checks();
    checks.insert(checks.end(), its.begin(), its.end());
  }
  return checks;
}

}  // namespace monsoon
