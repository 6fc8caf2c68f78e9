// SPDX-License-Identifier: Apache-2.0
#include "worker/training_loop.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace monsoon {
namespace {

// Wherever the vector lies.
float At(const Flat& values, int64_t i) {
  return values.Slice(i, 1).ToHost()[0];
}

}  // namespace

absl::StatusOr<TrainingLoop::Step> TrainingLoop::Next() {
  Step step;
  charged_ = clock_.Now();
  step.samples = source_.Next();
  Charge(TraceKind::kData, times_.data);
  if (step.samples == 0) {
    step.losses = source_.Rest();
    RETURN_IF_ERROR(source_.status());
    RETURN_IF_ERROR(CheckLosses(step.losses));
    if (replica_.pending > 0) RETURN_IF_ERROR(Exchange());
    return step;
  }
  replica_.BeginStep();
  trainer_.BeforeGradient(replica_);
  step.losses = source_.Gradient(replica_.x, trainer_.Sink(replica_));
  RETURN_IF_ERROR(source_.status());
  RETURN_IF_ERROR(CheckLosses(step.losses));
  trainer_.AfterGradient(replica_);
  ++replica_.step;
  ++replica_.pending;
  replica_.samples += step.samples;
  replica_.pending_samples += step.samples;
  const bool is_due = trainer_.Due(replica_);
  // An exchange would wait for the steps, and is not to be charged with that.
  if (is_due && !link_.is_beside_steps()) source_.CatchUp();
  Charge(TraceKind::kCompute, times_.compute);
  if (is_due) RETURN_IF_ERROR(Exchange());
  return step;
}

void TrainingLoop::Charge(TraceKind kind, absl::Duration& into) {
  const absl::Time now = clock_.Now();
  into += now - charged_;
  if (trace_ != nullptr) {
    trace_->Add({.kind = kind, .begin = charged_, .end = now});
  }
  charged_ = now;
}

absl::Status TrainingLoop::CheckLosses(const Losses& losses) const {
  if (std::isfinite(losses.sum)) return absl::OkStatus();
  return Diverged("the loss", losses.mean());
}

absl::Status TrainingLoop::CheckEnd() const {
  const int64_t bad = FirstNotFinite(replica_.x);
  RETURN_IF_ERROR(source_.status());
  if (bad < 0) return absl::OkStatus();
  return absl::OutOfRangeError(absl::StrCat(
      "training diverged: parameter ", bad, " of worker ", replica_.worker,
      " is ", At(replica_.x, bad), " at its last step ", replica_.step,
      "; lower --lr (now ", replica_.optimizer().lr(), ")"));
}

absl::Status TrainingLoop::Exchange() {
  const absl::Status status = trainer_.Exchange(replica_, link_);
  Charge(TraceKind::kExchange, times_.exchange);
  if (absl::IsInvalidArgument(status)) {
    // A server refuses what is not finite: was it ours?
    const Flat* suspects[] = {&replica_.x, &replica_.gradient,
                              &replica_.center()};
    for (const Flat* suspect : suspects) {
      const int64_t at = FirstNotFinite(*suspect);
      if (at >= 0) return Diverged("the update", At(*suspect, at));
    }
  }
  if (absl::IsOutOfRange(status)) {  // a server, or the trainer, says why
    return absl::OutOfRangeError(absl::StrCat(status.message(), "; at step ",
                                              replica_.step, " of worker ",
                                              replica_.worker));
  }
  RETURN_IF_ERROR(status);
  replica_.pending = 0;
  replica_.pending_samples = 0;
  return absl::OkStatus();
}

absl::Status TrainingLoop::Diverged(const char* what, double found) const {
  return absl::OutOfRangeError(absl::StrCat(
      "training diverged: ", what, " is ", found, " at step ",
      replica_.step + 1, " of worker ", replica_.worker, "; lower --lr (now ",
      replica_.optimizer().lr(), ") or the trainer's window"));
}

}  // namespace monsoon
