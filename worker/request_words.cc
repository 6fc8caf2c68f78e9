// SPDX-License-Identifier: Apache-2.0
#include "worker/request_words.h"

#include "absl/strings/str_cat.h"

namespace monsoon {
namespace {

using Request = pb::ExchangeRequest;

TraceKind KindOf(const Request& request) {
  switch (request.kind()) {
    case Request::PUSH:
      return TraceKind::kPush;
    case Request::PUSH_PULL:
      return TraceKind::kPushPull;
    case Request::INITIALIZE:
      return TraceKind::kInitialize;
    default:
      return TraceKind::kPull;
  }
}

}  // namespace

std::string Asked(const Request& request) {
  std::string push = absl::StrCat("push ", request.sequence());
  switch (request.kind()) {
    case Request::PUSH:
      return push;
    case Request::PUSH_PULL:
      return push + " and pull";
    case Request::INITIALIZE:
      return "the initial center";
    default:
      return "pull";
  }
}

TraceSpan SpanOf(const AnsweredRequest& answered) {
  return {.kind = KindOf(answered.request),
          .begin = answered.begin,
          .end = answered.end,
          .shard = answered.request.shard(),
          .server = answered.server,
          .bytes_up = static_cast<int64_t>(answered.bytes_up),
          .bytes_down = static_cast<int64_t>(answered.bytes_down),
          .staleness = answered.reply.staleness(),
          .version = answered.reply.version()};
}

}  // namespace monsoon
