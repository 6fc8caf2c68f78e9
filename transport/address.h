// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace monsoon {

// Where a server listens or is reached: a name, an IPv4 address, or an IPv6
// address in brackets, and a port. A value.
struct Address {
  std::string host;  // without brackets
  int port = 0;      // 0 to 65535

  // "node-3:7001", "127.0.0.1:7001", "[::1]:7001"
  std::string text() const;
  // Listening there means on every address of this machine.
  bool is_wildcard() const { return host == "0.0.0.0" || host == "::"; }
};

// INVALID_ARGUMENT says what is wrong with `text` and shows a good one. Names
// are not looked up.
absl::StatusOr<Address> ParseAddress(absl::string_view text);

}  // namespace monsoon
