// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "cli/process.h"
#include "tests/base/temporary_folder.h"
#include "tests/transport/fake_calls.h"
#include "transport/grpc_client.h"

namespace monsoon {

// A monsoon-server that runs until the end of the block, and a client of it.
// For one thread, which must outlive it.
class ServerProcess {
 public:
  explicit ServerProcess(std::vector<std::string> flags = {}) {
    const std::string port_file = folder_.At("port");
    flags.insert(flags.begin(),
                 {absl::StrCat(MONSOON_BINARY_DIR, "/monsoon-server"),
                  "--listen", "127.0.0.1:0", "--port-file", port_file});
    process_ = *Process::Start(
        {.arguments = std::move(flags), .stderr_file = folder_.At("log")},
        [] {});
    REQUIRE(Eventually(
        [&] { return std::ifstream(port_file) >> port_ && port_ > 0; }));
    client_ = *GrpcClient::Create(address(), RealClock());
    REQUIRE(client_->WaitConnected(RealClock().Now() + absl::Seconds(30)) ==
            absl::OkStatus());
  }

  int port() const { return port_; }
  std::string address() const { return absl::StrCat("127.0.0.1:", port_); }
  GrpcClient& client() { return *client_; }

  int64_t open_files() const {
    const auto files = std::filesystem::directory_iterator(
        absl::StrCat("/proc/", process_->pid(), "/fd"));
    return std::distance(begin(files), end(files));
  }
  // Resident; what is shared with workers counts.
  int64_t memory_bytes() const {
    std::ifstream file(absl::StrCat("/proc/", process_->pid(), "/statm"));
    int64_t all = 0, resident = 0;
    file >> all >> resident;
    return resident * sysconf(_SC_PAGE_SIZE);
  }
  // The most that it ever was.
  int64_t peak_memory_bytes() const {
    std::ifstream file(absl::StrCat("/proc/", process_->pid(), "/status"));
    std::string word;
    int64_t kilobytes = 0;
    while (file >> word) {
      if (word == "VmHWM:") file >> kilobytes;
    }
    return kilobytes << 10;
  }

 private:
  const TemporaryFolder folder_;
  std::unique_ptr<Process> process_;
  int port_ = 0;
  std::unique_ptr<GrpcClient> client_;
};

}  // namespace monsoon
