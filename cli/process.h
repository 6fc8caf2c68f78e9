// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"

namespace monsoon {

// How a process ended.
struct ProcessExit {
  int code = 0;    // what it returned, where no signal ended it
  int signal = 0;  // the signal that ended it; 0: none
  // The most memory that it held, and at least what its parent held when it
  // started it (Linux counts from before the exec).
  int64_t peak_rss_bytes = 0;
  // Seconds of the processors that it used, with the children it waited for.
  double processor_s = 0;

  bool ok() const { return code == 0 && signal == 0; }
};

// "exit code 3", "killed by signal 9 (SIGKILL)".
std::string DescribeExit(const ProcessExit& exit);

// The last `lines` lines of a text, each behind `indent`.
std::string LastLines(const std::string& text, int lines,
                      const std::string& indent);

// The folder of this process's own binary, where its siblings lie.
std::string BinaryFolder();

// A child process. It has a process group of its own, so that a signal of the
// terminal reaches the parent alone, which passes it on once; and the kernel
// kills it when the thread that started it ends, however that happens: start
// children from the thread that supervises them.
//
// Waiting: one thread per child, blocked in the kernel's waitid, calls
// `on_exit`. Thread-safe.
class Process {
 public:
  struct Command {
    std::vector<std::string> arguments;  // the first is the path of the binary
    // Files that its output replaces; both may be one. Empty: the parent's.
    std::string stdout_file;
    std::string stderr_file;
    // "NAME=VALUE": added to the parent's environment, in place of what has the
    // name there.
    std::vector<std::string> environment = {};
  };

  // Starts it. `on_exit` is called once, from another thread, after exit() has
  // a value; it outlives the Process. NOT_FOUND when there is no such binary,
  // INTERNAL with the cause otherwise.
  static absl::StatusOr<std::unique_ptr<Process>> Start(
      const Command& command, std::function<void()> on_exit);

  // Kills a child that still runs, and waits for its end.
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  int pid() const { return pid_; }
  // Sends a signal; nothing happens when it has ended.
  void Signal(int number);
  // Empty while it runs.
  std::optional<ProcessExit> exit() const;

 private:
  Process(pid_t pid, std::function<void()> on_exit);
  void WaitForEnd();

  const pid_t pid_;
  const std::function<void()> on_exit_;
  mutable absl::Mutex mu_;
  std::optional<ProcessExit> exit_ ABSL_GUARDED_BY(mu_);
  std::thread waiter_;
};

}  // namespace monsoon
