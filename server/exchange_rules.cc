// SPDX-License-Identifier: Apache-2.0
#include "server/exchange_rules.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "base/flat.h"

namespace monsoon {
namespace {

using Request = pb::ExchangeRequest;

// Far above any honest count, and far below where sums overflow.
constexpr int64_t kMaxCount = int64_t{1} << 40;

}  // namespace

bool Pushes(const Request& request) {
  return request.kind() == Request::PUSH ||
         request.kind() == Request::PUSH_PULL;
}

bool Pulls(const Request& request) {
  return request.kind() == Request::PULL ||
         request.kind() == Request::PUSH_PULL;
}

bool Waits(const Request& request) {
  return request.rounds() > 0 || request.max_lead() >= 0;
}

std::string Sender(int worker, int shard) {
  return absl::StrCat("worker ", worker, ", shard ", shard, ": ");
}

absl::StatusOr<float> CheckExchange(const ExchangeCall& call, int index,
                                    int64_t size) {
  const Request& request = call.request;
  const bool carries = Pushes(request) || request.kind() == Request::INITIALIZE;
  // Most calls are right: their sender is not spelled out.
  const auto who = [&] { return Sender(request.worker(), index); };
  const int64_t expected = carries ? size : 0;
  if (static_cast<int64_t>(call.update.size()) != expected) {
    return absl::InvalidArgumentError(
        absl::StrCat(who(), "the update has ", call.update.size(),
                     " floats, expected ", expected));
  }
  const float largest = Largest(call.update);
  if (!std::isfinite(largest)) {
    const int64_t bad = FirstNotFinite(call.update);
    return absl::InvalidArgumentError(
        absl::StrCat(who(), "value ", bad, " of the update is ",
                     call.update[static_cast<size_t>(bad)],
                     ", expected finite numbers; nothing was applied"));
  }
  if (Pushes(request) && !(request.weight() > 0 && request.weight() < 1e30f)) {
    return absl::InvalidArgumentError(absl::StrCat(
        who(), "the weight is ", request.weight(), ", expected above 0"));
  }
  if (!Request::Kind_IsValid(request.kind())) {
    return absl::InvalidArgumentError(
        absl::StrCat(who(), "unknown kind of exchange ", request.kind()));
  }
  for (int64_t count :
       {request.local_steps(), request.samples(), request.rounds()}) {
    if (count < 0 || count > kMaxCount) {
      return absl::InvalidArgumentError(
          absl::StrCat(who(), "local_steps, samples or rounds is ", count,
                       ", expected 0 to 2^40"));
    }
  }
  return largest;
}

}  // namespace monsoon
