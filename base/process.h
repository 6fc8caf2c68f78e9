// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace monsoon {

struct ProcessInfo {
  std::string host;
  int64_t pid = 0;
  int64_t peak_rss_bytes = 0;  // so far
  double cpu_s = 0;            // of all threads, in user and kernel, so far
};

ProcessInfo ThisProcess();

}  // namespace monsoon
