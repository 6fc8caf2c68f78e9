// SPDX-License-Identifier: Apache-2.0
#include "worker/overlap_link.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"

namespace monsoon {

OverlapLink::OverlapLink(ShardLink& link, Replica& replica, Clock& clock)
    : link_(link),
      replica_(replica),
      update_(replica.x.size(),
              link.copies() == nullptr ? HeapMemory() : *link.copies()),
      begun_(clock.NewEvent()),
      ended_(clock.NewEvent()),
      thread_([this] { Run(); }) {}

OverlapLink::~OverlapLink() {
  Drain().IgnoreError();
  stops_ = true;
  begun_->Set();
  thread_.join();
}

void OverlapLink::Run() {
  while (true) {
    begun_->Wait(absl::InfiniteFuture());
    if (stops_) return;
    begun_->Reset();
    status_ = link_.PushPull(update_, *task_.into, task_.weight, task_.need,
                             task_.account);
    ended_->Set();
  }
}

Flat& OverlapLink::next() {
  Flat& slot = replica_.slot("overlap/center");
  if (link_.copies() == nullptr) return slot;
  // The steps go on meanwhile: what the exchange enqueues must not be among
  // their works.
  next_on_queue_ = Flat::View(slot.data(), slot.size(), link_.copies());
  return next_on_queue_;
}

absl::Status OverlapLink::Drain() {
  if (!is_under_way_) return status_;
  ended_->Wait(absl::InfiniteFuture());  // the link has a deadline
  ended_->Reset();
  if (link_.copies() != nullptr) replica_.x.queue()->Follow(*link_.copies());
  is_under_way_ = false;
  last_ = link_.last();
  if (!absl::IsInvalidArgument(status_)) return status_;
  const int64_t bad = FirstNotFinite(update_);
  if (bad < 0) return status_;
  status_ = absl::OutOfRangeError(absl::StrCat(
      "training diverged: value ", bad, " of the update that worker ",
      replica_.worker, " pushed beside its steps up to ", replica_.step, " is ",
      update_.Slice(bad, 1).ToHost()[0], "; lower --lr (now ",
      replica_.optimizer().lr(), ") or the trainer's window"));
  return status_;
}

absl::Status OverlapLink::Pull(Flat& center, Freshness need) {
  RETURN_IF_ERROR(Drain());
  RETURN_IF_ERROR(link_.Pull(center, need));
  last_ = link_.last();
  next().CopyFrom(center);
  replica_.number("overlap/pulled") = 1;
  return absl::OkStatus();
}

absl::Status OverlapLink::Push(const Flat& update, float weight) {
  RETURN_IF_ERROR(Drain());
  RETURN_IF_ERROR(link_.Push(update, weight, TakeAccount()));
  last_ = link_.last();
  return absl::OkStatus();
}

ShardLink::Account OverlapLink::TakeAccount() {
  ShardLink::Account account = link_.TakeAccount();
  account.is_behind = true;  // what came last is not handed out yet
  return account;
}

absl::Status OverlapLink::PushPull(const Flat& update, Flat& reply,
                                   float weight, Freshness need) {
  RETURN_IF_ERROR(Drain());
  MONSOON_CHECK(replica_.number("overlap/pulled") == 1,
                "a center was pulled before the first PushPull");
  Flat& next = this->next();
  if (&update == &reply && reply.owns() && link_.copies() == nullptr) {
    // The three change places, and nothing is copied.
    std::swap(update_, reply);
    std::swap(reply, next);
  } else {
    update_.CopyFrom(update);
    reply.CopyFrom(next);
  }
  task_ = {&next, weight, need, TakeAccount()};
  is_under_way_ = true;
  begun_->Set();
  return absl::OkStatus();
}

}  // namespace monsoon
