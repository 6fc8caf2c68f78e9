// SPDX-License-Identifier: Apache-2.0
#include "trainers/gradient_trainer.h"

#include "base/status_macros.h"

namespace monsoon {

absl::Status GradientTrainer::Start(Replica& r, Link& link) const {
  RETURN_IF_ERROR(link.Pull(r.x));
  r.KeepCenter(r.statistics());
  return absl::OkStatus();
}

absl::Status GradientTrainer::Exchange(Replica& r, Link& link) const {
  r.PutStatistics(r.gradient, in_mean_);
  const auto weight = static_cast<float>(r.pending_samples);
  RETURN_IF_ERROR(link.PushPull(r.gradient, r.x, weight, need_));
  r.KeepCenter(r.statistics());
  return absl::OkStatus();
}

}  // namespace monsoon
