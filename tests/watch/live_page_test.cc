// SPDX-License-Identifier: Apache-2.0
#include "watch/live_page.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <list>
#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace monsoon {
namespace {

// A connection of somebody to the page.
class Client {
 public:
  explicit Client(const LivePage& page, int receive_buffer = 0)
      : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const std::string url = page.url();
    int port = 0;
    REQUIRE(absl::SimpleAtoi(
        url.substr(url.rfind(':') + 1, url.size() - url.rfind(':') - 2),
        &port));
    if (receive_buffer > 0) {
      ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer,
                   sizeof(receive_buffer));
    }
    // Nobody here waits for ever.
    const timeval most = {.tv_sec = 20};
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &most, sizeof(most));
    sockaddr_in to = {};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<uint16_t>(port));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(socket_.get(), reinterpret_cast<sockaddr*>(&to),
                      sizeof(to)) == 0);
  }
  void Send(const std::string& text) {
    ::send(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL);
  }
  // Up to the end, or to what has `until`.
  std::string Receive(const std::string& until = "") {
    char buffer[4096];
    while (until.empty() || !absl::StrContains(got_, until)) {
      const ssize_t size = ::recv(socket_.get(), buffer, sizeof(buffer), 0);
      if (size <= 0) break;
      got_.append(buffer, static_cast<size_t>(size));
    }
    return got_;
  }

 private:
  const Descriptor socket_;
  std::string got_;
};

std::unique_ptr<LivePage> Open(const std::string& address = "127.0.0.1:0") {
  auto page = LivePage::Open(address, "monsoon train", RealClock());
  REQUIRE(page.ok());
  return *std::move(page);
}

std::string Ask(const LivePage& page, const std::string& path,
                const std::string& method = "GET",
                const std::string& host = "127.0.0.1") {
  Client client(page);
  client.Send(
      absl::StrCat(method, " ", path, " HTTP/1.1\r\nHost: ", host, "\r\n\r\n"));
  return client.Receive();
}

JobView View(int64_t samples, size_t message_bytes = 0) {
  JobView view;
  view.job_id = 7;
  view.progress.samples = samples;
  view.progress.elapsed_s = static_cast<double>(samples);
  view.workers.resize(1);
  view.workers[0].samples_per_s = 10;
  view.workers[0].member.mutable_report()->set_message(
      std::string(message_bytes, 'x'));
  view.servers.resize(1);
  return view;
}

TEST_CASE("An address that cannot be had is refused naming the flag",
          "[watch]") {
  const auto first = Open();
  const std::string url = first->url();
  const std::string taken = url.substr(7, url.size() - 8);
  const auto refused = [](const std::string& address) {
    return LivePage::Open(address, "monsoon train", RealClock()).status();
  };
  CHECK(absl::IsUnavailable(refused(taken)));
  CHECK(absl::StrContains(refused(taken).message(),
                          absl::StrCat("--http: cannot listen on ", taken)));
  for (const char* bad : {"", "7001", "127.0.0.1", "127.0.0.1:70000",
                          "nowhere.invalid:0", "192.0.2.1:0"}) {
    CHECK(absl::IsInvalidArgument(refused(bad)));
    CHECK(absl::StartsWith(refused(bad).message(), "--http: "));
  }
}

TEST_CASE("Paths, methods and hosts", "[watch]") {
  const auto page = Open();
  const auto starts = [](const std::string& answer, const char* status) {
    return absl::StartsWith(answer, absl::StrCat("HTTP/1.1 ", status, " "));
  };
  CHECK(starts(Ask(*page, "/healthz"), "200"));
  CHECK(starts(Ask(*page, "/readyz"), "503"));
  CHECK(starts(Ask(*page, "/"), "200"));
  CHECK(absl::StrContains(Ask(*page, "/nope?x=1"), "/metrics"));
  CHECK(starts(Ask(*page, "/nope"), "404"));
  CHECK(starts(Ask(*page, "/healthz", "HEAD"), "200"));
  for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS"}) {
    CHECK(starts(Ask(*page, "/", method), "405"));
  }
  CHECK(starts(Ask(*page, "/", "GARBAGE"), "400"));
  for (const char* host :
       {"localhost", "a.localhost:1", "[::1]:80", "10.0.0.1"}) {
    CHECK(starts(Ask(*page, "/healthz", "GET", host), "200"));
  }
  for (const char* host : {"evil.example", "127.0.0.1.evil.example", "["}) {
    CHECK(starts(Ask(*page, "/healthz", "GET", host), "403"));
  }
  page->See(View(1), false);
  CHECK(starts(Ask(*page, "/readyz"), "200"));
}

TEST_CASE("Who listens on all addresses takes every name", "[watch]") {
  const auto page = Open("0.0.0.0:0");
  CHECK_FALSE(absl::StrContains(page->url(), "0.0.0.0"));
  CHECK(absl::StartsWith(Ask(*page, "/healthz", "GET", "node-3:1"),
                         "HTTP/1.1 200 "));
}

TEST_CASE("Requests are bounded, whatever is in them", "[watch]") {
  const auto page = Open();
  Client long_head(*page);
  long_head.Send("GET / HTTP/1.1\r\nX: " + std::string(200'000, 'x'));
  CHECK(absl::StartsWith(long_head.Receive(), "HTTP/1.1 431 "));
  Client long_line(*page);
  long_line.Send(std::string(200'000, 'x'));
  CHECK(absl::StartsWith(long_line.Receive(), "HTTP/1.1 431 "));
  Client zeros(*page);
  zeros.Send(std::string("\0\xff\r\n\r\n", 6));
  CHECK(absl::StartsWith(zeros.Receive(), "HTTP/1.1 400 "));
  // Ranges would multiply what is sent, and bodies be read: neither is looked
  // at.
  std::string ranges = "bytes=0-";
  while (ranges.size() < 8'000) ranges += ",0-";
  Client many(*page);
  many.Send(absl::StrCat("GET /healthz HTTP/1.1\r\nRange: ", ranges,
                         "\r\nContent-Length: 100000000000\r\n",
                         "Expect: 100-continue\r\n\r\n"));
  const std::string answer = many.Receive();
  CHECK(absl::StartsWith(answer, "HTTP/1.1 200 "));
  CHECK(absl::EndsWith(answer, "\r\n\r\nok\n"));
}

TEST_CASE("Who follows the events hears the end", "[watch]") {
  auto page = Open();
  page->See(View(1), false);
  Client client(*page);
  client.Send("GET /api/events HTTP/1.1\r\n\r\n");
  CHECK(absl::StrContains(client.Receive("data: "), "retry: "));
  page->See(View(2), true);
  const nlohmann::ordered_json summary = {{"status", "done"},
                                          {"test_acc", 0.75}};
  page->End({.summary = summary});
  const std::string all = client.Receive();
  const size_t last = all.rfind("data: ");
  REQUIRE(last != std::string::npos);
  const auto json = nlohmann::json::parse(all.substr(last + 6));
  CHECK(json["state"] == "done");
  CHECK(json["progress"]["samples"] == 2);
  CHECK(json["summary"]["test_acc"] == 0.75);
}

TEST_CASE("Readers are counted, and leave room for others", "[watch]") {
  auto page = Open();
  std::list<Client> readers;
  for (int i = 0; i < LivePage::kMostReaders; ++i) {
    readers.emplace_back(*page).Send("GET /api/events HTTP/1.1\r\n\r\n");
    readers.back().Receive("data: ");
  }
  CHECK(absl::StartsWith(Ask(*page, "/api/events"), "HTTP/1.1 503 "));
  CHECK(absl::StartsWith(Ask(*page, "/healthz"), "HTTP/1.1 200 "));
  // Who asks nothing makes room.
  std::list<Client> silent;
  for (int i = 0; i < 300; ++i) silent.emplace_back(*page);
  CHECK(absl::StartsWith(Ask(*page, "/healthz"), "HTTP/1.1 200 "));
  const absl::Time begin = absl::Now();
  page.reset();
  CHECK(absl::Now() - begin < absl::Seconds(3));
}

TEST_CASE("A reader that never reads holds up nobody", "[watch]") {
  auto page = Open();
  page->See(View(1, 16 << 20), false);
  Client reader(*page, /*receive_buffer=*/4096);
  reader.Send("GET /api/events HTTP/1.1\r\n\r\n");
  REQUIRE(absl::StrContains(reader.Receive("data: "), "data: "));
  const absl::Time begin = absl::Now();
  page->See(View(2), true);
  const nlohmann::ordered_json summary = {{"status", "done"}};
  page->End({.summary = summary});
  CHECK(absl::Now() - begin < absl::Seconds(1));
  CHECK(absl::StrContains(Ask(*page, "/api/status"), "\"state\":\"done\""));
  page.reset();
  CHECK(absl::Now() - begin < absl::Seconds(4));
}

TEST_CASE("Rates cover the whole job in bounded memory", "[watch]") {
  const auto page = Open();
  for (int64_t i = 1; i <= 5'000; ++i) page->See(View(i), true);
  const std::string answer = Ask(*page, "/api/status");
  const auto rates =
      nlohmann::json::parse(answer.substr(answer.find("\r\n\r\n")))["rates"];
  CHECK(rates.size() <= 400);
  CHECK(rates.size() >= 100);
  CHECK(rates.front()[0] == 1);
  CHECK(rates.back()[0] > 4'900);
}

}  // namespace
}  // namespace monsoon
