// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "watch/http.h"

namespace monsoon {

// Who one is to a server; empty is nobody. Not for anybody's eyes.
struct HttpCredentials {
  std::string user, password;  // basic
  std::string token;           // bearer, if there is no user
};

// Calls through libcurl, over connections that it keeps: 2 s to connect, 10 s
// in all, `give_up` seen within a second. Make it before there are threads.
std::unique_ptr<HttpCalls> NewCurlHttp(HttpCredentials credentials);

}  // namespace monsoon
