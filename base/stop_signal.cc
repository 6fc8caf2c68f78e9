// SPDX-License-Identifier: Apache-2.0
#include "base/stop_signal.h"

#include <csignal>
#include <thread>

namespace monsoon {
namespace {

std::atomic<int> stop_signal = 0;
static_assert(std::atomic<int>::is_always_lock_free, "for a signal handler");

void Keep(int number) {
  stop_signal.store(number);
  // The next one, whichever it is, does what it does by default.
  struct sigaction standard = {};
  standard.sa_handler = SIG_DFL;
  sigaction(SIGINT, &standard, nullptr);
  sigaction(SIGTERM, &standard, nullptr);
}

// Takes the signals of the process, one after the other, for ever.
void TakeSignals() {
  sigset_t none;
  sigemptyset(&none);
  while (true) sigsuspend(&none);
}

}  // namespace

const std::atomic<int>& CatchStopSignals() {
  static const bool kOnce = [] {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    // A handler puts its frame, of kilobytes, below the stack register, which
    // oneDNN's matrix products point into memory of their own, with no room
    // below: on a thread that computes it would destroy the heap.
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    struct sigaction action = {};
    action.sa_handler = Keep;
    action.sa_flags = SA_RESTART;
    action.sa_mask = signals;
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
    std::thread(TakeSignals).detach();
    return true;
  }();
  (void)kOnce;
  return stop_signal;
}

}  // namespace monsoon
