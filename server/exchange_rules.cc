// SPDX-License-Identifier: Apache-2.0
#include "server/exchange_rules.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "base/flat.h"
#include "base/mutant.h"

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

absl::Status CheckRequest(const ExchangeCall& call, int index, int64_t size,
                          const ShardCodes& codes, bool is_on_device) {
  const Request& request = call.request;
  // Most calls are right: their sender is not spelled out.
  const auto who = [&] { return Sender(request.worker(), index); };
  if (call.is_on_device && !is_on_device) {
    return absl::InvalidArgumentError(absl::StrCat(
        who(),
        "the values lie in a GPU's memory, expected the host's, as the "
        "shard's do; ask takes_device_memory() before"));
  }
  if (!Request::Kind_IsValid(request.kind())) {
    return absl::InvalidArgumentError(
        absl::StrCat(who(), "unknown kind of exchange ", request.kind()));
  }
  if (request.coded() && !(Pushes(request) && codes.push)) {
    return absl::InvalidArgumentError(absl::StrCat(
        who(),
        Pushes(request) ? "the update is coded, but the job has no code "
                          "for pushes (JobSpec.push_code); "
                        : "only the values of pushes may be coded; ",
        "expected float32"));
  }
  if (request.coded_reply() && !codes.reply) {
    return absl::InvalidArgumentError(
        absl::StrCat(who(),
                     "a coded reply is asked for, but the job has no code for "
                     "replies (JobSpec.reply_code)"));
  }
  const bool carries = Pushes(request) || request.kind() == Request::INITIALIZE;
  const size_t expected =
      !carries ? 0
               : (request.coded() ? codes.push.bytes()
                                  : static_cast<size_t>(size) * sizeof(float));
  if (call.update.size() != expected && !Mutant("cut-update-accepted")) {
    return absl::InvalidArgumentError(absl::StrCat(
        who(), "the update has ", call.update.size(), " bytes, expected ",
        expected, carries ? absl::StrCat(" for ", size, " floats") : ""));
  }
  if (Pushes(request) && !(request.weight() > 0 && request.weight() < 1e30f)) {
    return absl::InvalidArgumentError(absl::StrCat(
        who(), "the weight is ", request.weight(), ", expected above 0"));
  }
  if (request.has_lr_factor() &&
      !(request.lr_factor() > 0 && request.lr_factor() <= 1e6f)) {
    return absl::InvalidArgumentError(
        absl::StrCat(who(), "lr_factor is ", request.lr_factor(),
                     ", expected above 0, at most 1e6"));
  }
  if (request.has_result_of() &&
      (request.worker() != -1 || request.result_of() < 0)) {
    return absl::InvalidArgumentError(absl::StrCat(
        who(), "asked for the result of worker ", request.result_of(),
        " (result_of), which observers ", "(worker -1) may, of ranks from 0"));
  }
  for (int64_t count :
       {request.local_steps(), request.samples(), request.rounds()}) {
    if (count < 0 || count > kMaxCount) {
      return absl::InvalidArgumentError(
          absl::StrCat(who(), "local_steps, samples or rounds is ", count,
                       ", expected 0 to 2^40"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckBase(const Request& request, int index, int64_t version) {
  const int64_t base = request.base_version();
  if ((base >= 0 && base <= version) || Mutant("any-base-accepted")) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      Sender(request.worker(), index), "the worker goes by version ", base,
      " of the center (base_version), expected 0 to ", version,
      ", which it has had"));
}

absl::StatusOr<float> CheckValues(const Flat& update, int worker, int index) {
  const float largest = Largest(update);
  if (std::isfinite(largest) || Mutant("not-finite-accepted")) return largest;
  // Through shared memory the worker can still change it.
  const int64_t bad = std::max<int64_t>(0, FirstNotFinite(update));
  return absl::InvalidArgumentError(
      absl::StrCat(Sender(worker, index), "value ", bad, " of the update is ",
                   update.Slice(bad, 1).ToHost()[0],
                   ", expected finite numbers; nothing was applied"));
}

absl::Status NoResult(const Request& request, int index) {
  return absl::NotFoundError(
      absl::StrCat("shard ", index, ": worker ", request.result_of(),
                   " has handed in no result (result_of)"));
}

absl::Status DeviceFailed(const absl::Status& why, int index) {
  const auto code = absl::IsResourceExhausted(why)
                        ? absl::StatusCode::kResourceExhausted
                        : absl::StatusCode::kInternal;
  return {code, absl::StrCat("the memory of shard ", index,
                             " (--server-device): ", why.message())};
}

absl::Status Diverges(int worker, int index, double largest) {
  return absl::OutOfRangeError(absl::StrCat(
      Sender(worker, index),
      "training diverged: an update that is finite itself (up to ", largest,
      ") would make the center infinite, expected a finite center; nothing ",
      "was applied; lower the learning rate (--lr, server_lr)"));
}

}  // namespace monsoon
