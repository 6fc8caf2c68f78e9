// SPDX-License-Identifier: Apache-2.0
#include "base/clock.h"

#include <catch2/catch.hpp>
#include <thread>

namespace monsoon {
namespace {

TEST_CASE("Time does not go backwards") {
  absl::Time last = RealClock().Now();
  for (int i = 0; i < 1000; ++i) {
    const absl::Time now = RealClock().Now();
    REQUIRE(now >= last);
    last = now;
  }
}

TEST_CASE("A wait ends at its deadline and not before") {
  const std::unique_ptr<Event> event = RealClock().NewEvent();
  const absl::Time deadline = RealClock().Now() + absl::Milliseconds(20);
  CHECK_FALSE(event->Wait(deadline));
  CHECK(RealClock().Now() >= deadline);
}

TEST_CASE("A wait for a flag that is up, or with a past deadline, is none") {
  const std::unique_ptr<Event> event = RealClock().NewEvent();
  CHECK_FALSE(event->Wait(absl::InfinitePast()));
  CHECK_FALSE(event->Wait(RealClock().Now() - absl::Seconds(1)));
  event->Set();
  CHECK(event->Wait(absl::InfinitePast()));
  CHECK(event->Wait(absl::InfiniteFuture()));
  event->Set();
  CHECK(event->Wait(absl::InfiniteFuture()));
}

TEST_CASE("Set wakes all who wait, from another thread") {
  const std::unique_ptr<Event> event = RealClock().NewEvent();
  bool woken[3] = {};
  std::vector<std::thread> threads;
  for (bool& flag : woken) {
    threads.emplace_back(
        [&event, &flag] { flag = event->Wait(absl::InfiniteFuture()); });
  }
  event->Set();
  for (std::thread& thread : threads) thread.join();
  for (bool flag : woken) CHECK(flag);
}

}  // namespace
}  // namespace monsoon
