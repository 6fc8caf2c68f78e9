// SPDX-License-Identifier: Apache-2.0
#include "trainers/delta_trainer.h"

#include "base/status_macros.h"

namespace monsoon {

int64_t DeltaTrainer::Window(Hyperparameters& hyper, int64_t fallback,
                             const std::string& help) {
  return hyper.Count("window", fallback, 1, help);
}

absl::Status DeltaTrainer::Exchange(Replica& r, Link& link) const {
  return ExchangeWay(r, link, Divisor(r), Weight(r), need_);
}

absl::Status ExchangeWay(Replica& r, Link& link, float steps, float weight,
                         Freshness need) {
  Flat& center = r.TakeWay(steps, need.rounds > 0 ? kUnbounded : 1);
  r.DropX();
  RETURN_IF_ERROR(link.PushPull(center, center, weight, need));
  r.x.CopyFrom(center);
  return absl::OkStatus();
}

}  // namespace monsoon
