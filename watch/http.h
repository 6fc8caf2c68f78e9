// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <string>

#include "absl/status/statusor.h"

namespace monsoon {

// A call to a web server. A value.
struct HttpRequest {
  std::string method;  // GET, POST or PUT
  std::string url;
  std::string body;  // JSON, of a POST
  std::string file;  // path of what a PUT sends
};

struct HttpReply {
  int code = 0;
  std::string body;
};

// Calls, passed in so that tests can answer them. For one thread.
class HttpCalls {
 public:
  virtual ~HttpCalls() = default;
  // Whatever the server answers is a reply, redirects too. UNAVAILABLE when
  // there is none within seconds, or once `give_up` is true; NOT_FOUND when the
  // file cannot be read.
  virtual absl::StatusOr<HttpReply> Call(const HttpRequest& request,
                                         const std::atomic<bool>& give_up) = 0;
};

}  // namespace monsoon
