// SPDX-License-Identifier: Apache-2.0
#include "base/stop_signal.h"

#include <csignal>

namespace monsoon {
namespace {

std::atomic<int> stop_signal = 0;
static_assert(std::atomic<int>::is_always_lock_free, "for a signal handler");

void Keep(int number) { stop_signal.store(number); }

}  // namespace

const std::atomic<int>& CatchStopSignals() {
  struct sigaction action = {};
  action.sa_handler = Keep;
  action.sa_flags = SA_RESTART | SA_RESETHAND;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  return stop_signal;
}

}  // namespace monsoon
