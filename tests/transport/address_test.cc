// SPDX-License-Identifier: Apache-2.0
#include "transport/address.h"

#include <catch2/catch.hpp>
#include <string>

#include "transport/status.h"

using namespace monsoon;

TEST_CASE("an address is a name, an IPv4 or a bracketed IPv6, and a port") {
  for (const char* text :
       {"127.0.0.1:7001", "node-3.example:65535", "[::1]:0", "[fe80::1]:7"}) {
    INFO(text);
    const auto address = ParseAddress(text);
    REQUIRE(address.ok());
    CHECK(address->text() == text);
  }
  CHECK(ParseAddress("[::1]:7001")->host == "::1");
  CHECK(ParseAddress("[::]:1")->is_wildcard());
  CHECK(ParseAddress("0.0.0.0:1")->is_wildcard());
  CHECK_FALSE(ParseAddress("10.0.0.1:1")->is_wildcard());
}

TEST_CASE("what is no address is refused with an example of one") {
  for (const char* text :
       {"", "7001", ":7001", "host", "host:", "host:x", "host:70000", "host:-1",
        "host: 1", "::1:7001", "[::1]", "[::1:7001", "[host]:1",
        "dns:///host:1", "unix:/tmp/s:1", "a b:1", "host:+1", "host:000001"}) {
    INFO(text);
    const auto address = ParseAddress(text);
    REQUIRE_FALSE(address.ok());
    CHECK(address.status().code() == absl::StatusCode::kInvalidArgument);
    const std::string message(address.status().message());
    CHECK_THAT(message, Catch::Contains('"' + std::string(text) + '"') &&
                            Catch::Contains("[::1]:7001"));
  }
}

TEST_CASE("a status keeps its code and message through gRPC") {
  CHECK(FromGrpc(ToGrpc(absl::OkStatus())).ok());
  for (int code = 1; code <= 16; ++code) {
    const absl::Status status(static_cast<absl::StatusCode>(code), "shard 3");
    CHECK(ToGrpc(status).error_code() == code);
    CHECK(FromGrpc(ToGrpc(status)) == status);
  }
  CHECK(
      FromGrpc(grpc::Status(static_cast<grpc::StatusCode>(31), "odd")).code() ==
      absl::StatusCode::kUnknown);
  const absl::Status wordy = absl::InternalError(std::string(100'000, 'x'));
  CHECK(ToGrpc(wordy).error_message().size() == 2000);
}
