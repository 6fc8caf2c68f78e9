// SPDX-License-Identifier: Apache-2.0
#include "sim/virtual_clock.h"

#include <catch2/catch.hpp>
#include <string>

namespace monsoon {
namespace {

TEST_CASE("Actors take turns in the order of virtual time, in no real time") {
  const auto run = [] {
    VirtualClock clock(absl::Hours(24));
    std::string log;
    const auto actor = [&](char name, absl::Duration step) {
      return [&clock, &log, name, step] {
        for (int i = 0; i < 3; ++i) {
          clock.NewEvent()->Wait(clock.Now() + step);
          log += name;
        }
      };
    };
    clock.After(absl::Minutes(25), [&] { log += '!'; });
    clock.Run({actor('a', absl::Minutes(20)), actor('b', absl::Minutes(30))});
    CHECK(clock.Now() == absl::UnixEpoch() + absl::Minutes(90));
    return log;
  };
  CHECK(run() == "a!babab");  // at 20, 25, 30, 40, 60 (b waited first), 60, 90
  CHECK(run() == run());
}

TEST_CASE("An event that is raised wakes who waits, before its deadline") {
  VirtualClock clock(absl::Hours(1));
  const auto event = clock.NewEvent();
  const auto other = clock.NewEvent();
  absl::Duration woken;
  clock.After(absl::Seconds(3), [&] { event->Set(); });
  bool raised = false, missed = true, at_once = false;
  clock.Run({[&] {
    raised = event->Wait(absl::InfiniteFuture());
    woken = clock.Now() - absl::UnixEpoch();
    missed = other->Wait(clock.Now() + absl::Seconds(4));
    at_once = event->Wait(absl::InfinitePast());
  }});
  CHECK(raised);
  CHECK(woken == absl::Seconds(3));
  CHECK_FALSE(missed);
  CHECK(at_once);
  CHECK(clock.Now() == absl::UnixEpoch() + absl::Seconds(7));
}

}  // namespace
}  // namespace monsoon
