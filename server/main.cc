// SPDX-License-Identifier: Apache-2.0
//
// monsoon-server: one shard server, for jobs of any model.
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/command_line.h"
#include "base/filesystem.h"
#include "base/process.h"
#include "base/random_id.h"
#include "base/status_macros.h"
#include "server/server.h"
#include "transport/address.h"
#include "transport/grpc_server.h"
#include "transport/grpc_settings.h"
#include "transport/shm_server.h"
#include "watch/live_page.h"
#include "watch/watcher.h"

namespace monsoon {
namespace {

constexpr char kProgram[] = "monsoon-server";
// After a signal.
constexpr absl::Duration kEndsWithin = absl::Seconds(1);

struct Arguments {
  std::string help;
  bool version = false;
  std::string listen = "127.0.0.1:7001";
  std::string advertise;  // empty: where it listens
  std::string port_file;
  std::string http;  // empty: no live page
  double lease_s = 10;
};

absl::Status Check(const std::string& flag, const std::string& address) {
  const absl::Status status = ParseAddress(address).status();
  return status.ok() ? status
                     : absl::InvalidArgumentError(
                           absl::StrCat(flag, ": ", status.message()));
}

absl::Status Read(int argc, const char* const* argv, Arguments& arguments) {
  CLI::App app("A shard server, for jobs of any model.", kProgram);
  app.add_flag("--version", arguments.version, "print the version");
  app.add_option("--listen", arguments.listen,
                 "where workers connect; port 0 takes any free one, 0.0.0.0 "
                 "every address of this machine")
      ->type_name("HOST:PORT")
      ->capture_default_str();
  app.add_option("--advertise", arguments.advertise,
                 "what workers should give as --servers (default: the address "
                 "of --listen, or this host's name for 0.0.0.0); port 0 means "
                 "that of --listen")
      ->type_name("HOST:PORT");
  app.add_option("--port-file", arguments.port_file,
                 "write the port there as soon as workers can connect")
      ->type_name("FILE");
  app.add_option("--http", arguments.http,
                 "serve a live page of the job that is here, /metrics, "
                 "/api/status, /healthz and /readyz there; port 0 takes any "
                 "free one. Who can reach it can read it")
      ->type_name("HOST:PORT");
  app.add_option("--lease", arguments.lease_s,
                 "how long a worker may be silent before another process can "
                 "take its rank")
      ->type_name("SECONDS")
      ->check(CLI::Range(0.1, 86400.0))
      ->capture_default_str();
  RETURN_IF_ERROR(ParseCommandLine(app, argc, argv, arguments.help));
  RETURN_IF_ERROR(Check("--listen", arguments.listen));
  return arguments.advertise.empty()
             ? absl::OkStatus()
             : Check("--advertise", arguments.advertise);
}

// REQUIRES: checked arguments.
std::string Advertised(const Arguments& arguments, int port) {
  if (!arguments.advertise.empty()) {
    Address address = *ParseAddress(arguments.advertise);
    if (address.port == 0) address.port = port;
    return address.text();
  }
  Address address = *ParseAddress(arguments.listen);
  if (address.is_wildcard()) address.host = ThisProcess().host;
  address.port = port;
  return address.text();
}

// A center and a trainer's slot of the same size fill the machine: beyond that
// a job is refused, as it comes from the network.
int64_t MaxBytes() {
  return int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGE_SIZE) / 2;
}

// Signals are taken by sigwait alone. Before the first thread, as each inherits
// what is blocked.
sigset_t BlockStopSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

// Who watches the jobs of this server, whatever they are.
struct Watch {
  std::unique_ptr<LivePage> page;  // null: nobody
  std::unique_ptr<Watcher> watcher;
};

absl::StatusOr<Watch> StartWatch(const std::string& http, Server& server) {
  Watch watch;
  if (http.empty()) return watch;
  ASSIGN_OR_RETURN(watch.page, LivePage::Open(http, kProgram, RealClock(),
                                              LivePage::Of::kServer));
  std::fprintf(stderr, "%s: live page %s\n", kProgram,
               watch.page->url().c_str());
  watch.watcher = std::make_unique<Watcher>(
      std::vector<ServerCalls*>{&server}, /*job_id=*/0, RealClock(),
      std::vector<Observer*>{watch.page.get()});
  return watch;
}

int Serve(const Arguments& arguments, const sigset_t& signals) {
  spdlog::logger log(kProgram,
                     std::make_shared<spdlog::sinks::stderr_sink_mt>());
  log.set_pattern("%Y-%m-%d %H:%M:%S.%e %n: %v");
  const std::string local_socket = absl::StrCat("monsoon/", RandomId());
  Server server(RealClock(), {.max_bytes = MaxBytes(),
                              .lease = absl::Seconds(arguments.lease_s),
                              .local_socket = local_socket,
                              .log = [&](const std::string& line) {
                                log.info("{}", line);
                              }});
  const auto local = ShmServer::Start(server, local_socket, RealClock());
  if (!local.ok()) {
    log.warn("workers of this host exchange over gRPC: {}",
             std::string(local.status().message()));
  }
  const auto watch = StartWatch(arguments.http, server);
  if (!watch.ok()) return Fail(kProgram, watch.status());
  const auto carrier = GrpcServer::Start(server, arguments.listen);
  if (!carrier.ok()) return Fail(kProgram, carrier.status());
  const int port = (*carrier)->port();
  Address bound = *ParseAddress(arguments.listen);
  bound.port = port;
  std::fprintf(stderr, "%s: listening on %s (workers use --servers %s)\n",
               kProgram, bound.text().c_str(),
               Advertised(arguments, port).c_str());
  if (!arguments.port_file.empty()) {
    const absl::Status written =
        RealFileSystem().Write(arguments.port_file, absl::StrCat(port, "\n"));
    if (!written.ok()) {
      return Fail(kProgram, absl::InternalError(absl::StrCat(
                                "--port-file: ", written.message())));
    }
  }
  if (watch->page != nullptr) watch->page->SetReady();
  int signal = 0;
  sigwait(&signals, &signal);  // what this process waits for: its end
  // Now and then gRPC waits with its end for the next keepalive of a connection
  // that is closing. There is nothing here that could be lost.
  std::thread([signal] {
    RealClock().NewEvent()->Wait(RealClock().Now() + kEndsWithin);
    ::_exit(128 + signal);
  }).detach();
  (*carrier)->Shutdown();
  return 128 + signal;
}

}  // namespace
}  // namespace monsoon

int main(int argc, char** argv) {
  monsoon::PrepareGrpc();
  const sigset_t signals = monsoon::BlockStopSignals();
  monsoon::Arguments arguments;
  const absl::Status status = monsoon::Read(argc, argv, arguments);
  if (!status.ok()) return monsoon::Fail(monsoon::kProgram, status);
  if (!arguments.help.empty()) {
    std::fputs(arguments.help.c_str(), stdout);
    return 0;
  }
  if (arguments.version) {
    std::printf("%s %s\ncuda: none\n", monsoon::kProgram, MONSOON_VERSION);
    return 0;
  }
  return monsoon::Serve(arguments, signals);
}
