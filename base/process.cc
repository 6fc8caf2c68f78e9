// SPDX-License-Identifier: Apache-2.0
#include "base/process.h"

#include <sys/resource.h>
#include <unistd.h>

namespace monsoon {

namespace {

double SecondsOf(const timeval& time) {
  return static_cast<double>(time.tv_sec) +
         1e-6 * static_cast<double>(time.tv_usec);
}

}  // namespace

ProcessInfo ThisProcess() {
  char host[256] = "";
  if (::gethostname(host, sizeof(host) - 1) != 0) host[0] = '\0';
  rusage usage = {};
  ::getrusage(RUSAGE_SELF, &usage);
  return {host, ::getpid(), int64_t{usage.ru_maxrss} * 1024,
          SecondsOf(usage.ru_utime) + SecondsOf(usage.ru_stime)};
}

}  // namespace monsoon
