// SPDX-License-Identifier: Apache-2.0
#include "transport/faulty.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <functional>
#include <map>
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

// What happens later, when a test says so.
struct Later {
  FaultyCalls::After After() {
    return [this](absl::Duration delay, std::function<void()> action) {
      actions.emplace(delay, std::move(action));
    };
  }
  // The first to happen does.
  void Happens() {
    const auto first = actions.begin();
    const auto action = std::move(first->second);
    actions.erase(first);
    action();
  }
  std::multimap<absl::Duration, std::function<void()>> actions;
};

TEST_CASE("a call that is cut is served short, and its answer lost") {
  FakeCalls server;
  FaultyCalls faulty(server, Random{1}, {.cut = 1});
  for (int i = 0; i < 20; ++i) {
    TestCall call({1, 2, 3});
    faulty.Exchange(call);
    CHECK(absl::IsUnavailable(call.status));
    CHECK(call.received.empty());
  }
  CHECK(server.exchanges == 20);
  CHECK(server.received < 20 * 3 * sizeof(float));
  CHECK(server.received > 0);
}

TEST_CASE("a call that comes late is lost, and served when its time has come") {
  FakeCalls server;
  Later later;
  FaultyCalls faulty(server, Random{1},
                     {.late = 1, .max_delay = absl::Seconds(1)}, later.After());
  {
    TestCall call({1, 2});
    faulty.Exchange(call);
    CHECK(absl::IsUnavailable(call.status));
    CHECK(server.exchanges == 0);
    faulty.Cancel(call);  // is of no concern to it
    CHECK(call.finished == 1);
  }  // nobody's memory any more
  later.Happens();
  CHECK(server.exchanges == 1);
  CHECK(server.received == 2 * sizeof(float));
  pb::ReportReply reply;
  CHECK(absl::IsUnavailable(faulty.Report({}, reply)));
  CHECK(server.controls == 0);
  later.Happens();
  CHECK(server.controls == 1);
}

TEST_CASE("a late call that nobody answers ends with the faults") {
  FakeCalls server;
  Later later;
  {
    FaultyCalls faulty(server, Random{1},
                       {.late = 1, .max_delay = absl::Seconds(1)},
                       later.After());
    TestCall call;
    call.request.set_rounds(1);
    faulty.Exchange(call);
    later.Happens();
    CHECK(server.parked() == 1);
  }
  CHECK(server.parked() == 0);
}

TEST_CASE("calls that take their time overtake each other") {
  FakeCalls server;
  Later later;
  FaultyCalls faulty(server, Random{1},
                     {.delay = 1, .max_delay = absl::Seconds(1)},
                     later.After());
  std::vector<std::unique_ptr<TestCall>> calls;
  for (int i = 0; i < 10; ++i) {
    calls.push_back(
        std::make_unique<TestCall>(std::vector<float>{static_cast<float>(i)}));
    faulty.Exchange(*calls.back());
  }
  std::vector<int> order;
  while (!later.actions.empty()) {
    later.Happens();
    for (int i = 0; i < 10; ++i) {
      if (calls[i]->finished == 0 || calls[i]->reply.version() < 0) continue;
      order.push_back(i);
      CHECK(calls[i]->received == calls[i]->sent);
      calls[i]->reply.set_version(-1);  // seen
    }
  }
  CHECK(order.size() == 10);
  CHECK_FALSE(std::is_sorted(order.begin(), order.end()));
}

TEST_CASE("a call that is cancelled on its way arrives nevertheless") {
  FakeCalls server;
  Later later;
  FaultyCalls faulty(server, Random{1},
                     {.delay = 1, .max_delay = absl::Seconds(1)},
                     later.After());
  TestCall call({1});
  faulty.Exchange(call);
  CHECK(call.finished == 0);
  faulty.Cancel(call);
  CHECK(absl::IsCancelled(call.status));
  later.Happens();
  CHECK(server.exchanges == 1);
  CHECK(call.finished == 1);
  CHECK(call.received.empty());
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
