// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/resource.h>

#include <cstdint>
#include <string>

#include "absl/time/time.h"

namespace monsoon {

struct ProcessInfo {
  std::string host;
  int64_t pid = 0;
  int64_t peak_rss_bytes = 0;  // so far
  double cpu_s = 0;            // of all threads, in user and kernel, so far
};

ProcessInfo ThisProcess();

// What getrusage and wait4 say of processor time, in user and kernel.
double CpuSeconds(const rusage& usage);

// What this process holds at the moment.
struct ProcessUse {
  int64_t rss_bytes = 0;
  int64_t open_files = 0;
  absl::Time started;  // of the system's clock
};

ProcessUse UseOfThisProcess();

}  // namespace monsoon
