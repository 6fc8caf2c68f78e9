// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/filesystem.h"
#include "cli/bell.h"
#include "cli/process.h"

namespace monsoon {

// What a cluster on this machine is made of.
struct ClusterPlan {
  int servers = 1;
  int workers = 1;
  // The flags of every worker; --servers, --rank and, for rank 0, --out are
  // added.
  std::vector<std::string> worker_arguments;
  std::string binaries;  // the folder of monsoon-server and monsoon-worker
  // The run folder: rank 0's --out, with all logs in its logs/.
  std::string folder;
  bool trace = false;  // every worker writes TraceOf(folder, rank)
};

// The trace of a worker in its run folder.
std::string TraceOf(const std::string& folder, int rank);

// How it all ended.
struct ClusterEnd {
  // As a shell would say it: 0 done, 128 + signal when interrupted, 2 and 3
  // from whoever found wrong settings or data, else 1.
  int exit_code = 0;
  // What broke the job, with the last lines of the log of whoever was first;
  // empty when nothing did.
  std::string cause;
  // Of all processes together, each at its own peak.
  int64_t peak_rss_bytes = 0;
  // When the workers were started, by the clock.
  absl::Time workers_started;
};

// Servers and workers of one job as child processes, and who watches over them.
// If one of them dies, the others are ended within 10 s: workers first, while
// their servers still answer, so that rank 0 can keep what there is. For one
// thread, and once; when it goes away, no process is left.
class Cluster {
 public:
  // `stop`: the number of the signal that asks for an end, 0 until then; seen
  // within 50 ms. All arguments outlive the cluster.
  Cluster(const ClusterPlan& plan, Clock& clock, FileSystem& files,
          const std::atomic<int>& stop);

  // Starts the servers, waits for their ports, starts the workers. False: that
  // came to nothing, and Finish says why. Fails when a process cannot be
  // started.
  absl::StatusOr<bool> Start();
  // The address of server 0. REQUIRES: Start was true.
  const std::string& address() const { return addresses_.front(); }
  // Of all servers. REQUIRES: Start was true.
  const std::vector<std::string>& addresses() const { return addresses_; }
  std::vector<int64_t> server_pids() const;
  // Waits until every worker has ended, or something has broken, or a signal
  // came, and ends the workers then.
  void AwaitWorkers();
  // Ends the servers; how it all was.
  ClusterEnd Finish();

 private:
  struct Member {
    std::string name;  // "server 0"
    std::string log;
    std::unique_ptr<Process> process;
    bool noticed = false;  // its end is in ended_, or was asked for
  };

  absl::Status StartMember(std::vector<Member>& members,
                           const std::string& kind,
                           std::vector<std::string> arguments);
  std::string PortFile(int server) const;
  // Reads the ports that are there; true when all are.
  bool ReadPorts();
  // Adds to ended_ who has ended without being asked; true: something broke.
  bool Notice();
  // Waits until `done`; false at the deadline.
  bool WaitUntil(absl::Time deadline, const std::function<bool()>& done,
                 absl::Duration look = absl::Milliseconds(50));
  // Sends `number` to all that run, and SIGKILL after `grace`.
  void End(std::vector<Member>& members, int number, absl::Duration grace);
  // Who broke the job: of those in ended_ the one that is nobody's consequence.
  const Member* Culprit() const;
  // A worker that was asked to end, and died of it. REQUIRES: all have ended.
  const Member* Crashed() const;
  // How it ended, with the last lines of its log.
  std::string Describe(const Member& member, absl::string_view what) const;

  const ClusterPlan& plan_;
  Clock& clock_;
  FileSystem& files_;
  const std::atomic<int>& stop_;
  Bell bell_;  // outlives the processes, which ring it
  std::vector<Member> servers_;
  std::vector<Member> workers_;
  std::vector<const Member*> ended_;  // badly, in the order of notice
  std::vector<std::string> addresses_;
  absl::Time workers_started_;
  std::string late_;  // who had to be killed after a signal, or did not start
};

}  // namespace monsoon
