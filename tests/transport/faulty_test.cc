// SPDX-License-Identifier: Apache-2.0
#include "transport/faulty.h"

#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <vector>

#include "tests/transport/fake_calls.h"

using namespace monsoon;

TEST_CASE("a call dropped before is never served") {
  FakeCalls server;
  FaultyCalls faulty(server, Random{1}, {.drop_before = 1});
  TestCall call({1, 2});
  faulty.Exchange(call);
  CHECK(absl::IsUnavailable(call.status));
  CHECK(server.exchanges == 0);
  pb::JobStatus status;
  CHECK(absl::IsUnavailable(faulty.GetJob({}, status)));
  CHECK(server.controls == 0);
}

TEST_CASE("a call dropped after is served and its answer lost") {
  FakeCalls server;
  FaultyCalls faulty(server, Random{1}, {.drop_after = 1});
  TestCall call({1, 2});
  faulty.Exchange(call);
  CHECK(absl::IsUnavailable(call.status));
  CHECK(call.received.empty());
  CHECK(server.exchanges == 1);
}

TEST_CASE("a duplicated call is served twice and answered once") {
  FakeCalls server;
  FaultyCalls faulty(server, Random{1}, {.duplicate = 1});
  TestCall call({1, 2});
  faulty.Exchange(call);
  CHECK(call.status.ok());
  CHECK(call.received == call.sent);
  CHECK(call.finished == 1);
  CHECK(server.exchanges == 2);
  pb::JoinReply reply;
  CHECK(faulty.Join({}, reply).ok());
  CHECK(server.controls == 2);
}

TEST_CASE("a parked call is cancelled through the faults") {
  FakeCalls server;
  FaultyCalls faulty(server, Random{1}, {.duplicate = 1});
  TestCall call;
  call.request.set_rounds(1);
  faulty.Exchange(call);
  CHECK(call.finished == 0);
  faulty.Cancel(call);
  CHECK(absl::IsCancelled(call.status));
  CHECK(server.exchanges == 1);
  CHECK(server.parked() == 0);
  faulty.Cancel(call);
  CHECK(call.finished == 1);
}

TEST_CASE("faults come as often as asked and the same for the same key") {
  const auto run = [] {
    FakeCalls server;
    FaultyCalls faulty(
        server, Random{3},
        {.drop_before = 0.1, .drop_after = 0.1, .duplicate = 0.2});
    std::string fates;
    for (int i = 0; i < 1000; ++i) {
      const int before = server.exchanges;
      TestCall call({1});
      faulty.Exchange(call);
      fates += static_cast<char>('0' + server.exchanges - before);
      fates += call.status.ok() ? '+' : '-';
    }
    return fates;
  };
  const std::string fates = run();
  CHECK(fates == run());
  const auto count = [&](const std::string& fate) {
    int n = 0;
    for (size_t i = 0; i < fates.size(); i += 2)
      n += fates.substr(i, 2) == fate;
    return n;
  };
  CHECK(count("0-") == Approx(100).margin(40));
  CHECK(count("1-") + count("2-") == Approx(90).margin(40));
  CHECK(count("2+") + count("2-") == Approx(180).margin(50));
}
