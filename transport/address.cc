// SPDX-License-Identifier: Apache-2.0
#include "transport/address.h"

#include <arpa/inet.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace monsoon {
namespace {

bool IsIpv6(absl::string_view host) {
  const std::string text(host.substr(0, host.find('%')));  // %eth0: a zone
  in6_addr address;
  return inet_pton(AF_INET6, text.c_str(), &address) == 1;
}

bool IsName(absl::string_view host) {
  return !host.empty() && std::all_of(host.begin(), host.end(), [](char c) {
    return absl::ascii_isalnum(c) || c == '.' || c == '-' || c == '_';
  });
}

absl::Status Bad(absl::string_view text, absl::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrCat("address \"", text, "\" ", why,
                   "; expected HOST:PORT, as in 127.0.0.1:7001, node-3:7001 or "
                   "[::1]:7001"));
}

}  // namespace

std::string Address::text() const {
  return host.find(':') == std::string::npos
             ? absl::StrCat(host, ":", port)
             : absl::StrCat("[", host, "]:", port);
}

absl::StatusOr<Address> ParseAddress(absl::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == absl::string_view::npos) return Bad(text, "has no port");
  absl::string_view host = text.substr(0, colon);
  const bool in_brackets =
      host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (in_brackets) host = host.substr(1, host.size() - 2);
  if (in_brackets ? !IsIpv6(host) : !IsName(host)) {
    return Bad(text, in_brackets ? "has no IPv6 address in its brackets"
                                 : "has no host that can be one (IPv6 "
                                   "addresses stand in brackets)");
  }
  const absl::string_view digits = text.substr(colon + 1);
  int port = 0;
  if (digits.empty() || digits.size() > 5 ||
      !std::all_of(digits.begin(), digits.end(), absl::ascii_isdigit) ||
      !absl::SimpleAtoi(digits, &port) || port > 65535) {
    return Bad(text, "has no port from 0 to 65535");
  }
  return Address{std::string(host), port};
}

}  // namespace monsoon
