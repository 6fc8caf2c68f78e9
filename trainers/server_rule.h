// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "trainers/hyperparameters.h"
#include "trainers/optimizer.h"
#include "trainers/trainer.h"

namespace monsoon {

// The optimizer of a trainer's server half, with its keys server_optimizer and
// server_lr. Its state lies in the slots of the shard; statistics are added,
// and no rule sees them. Immutable.
class ServerRule {
 public:
  // With these defaults.
  ServerRule(Hyperparameters& hyper, const std::string& optimizer, double lr);

  // c <- Opt(c, value): the update is a gradient. The rate follows the schedule
  // of the worker who pushes.
  void Descend(const Update& update, Shard& shard) const;
  // c <- Opt(c, -value): the update is the way to go. The rate is constant, as
  // the steps of that way have followed the schedule.
  void Follow(const Update& update, Shard& shard) const;

  // Of Descend and Follow: see Traits.
  float reach() const;

 private:
  void Step(float rate, const Update& update, Shard& shard) const;

  const std::unique_ptr<const Optimizer> optimizer_;
};

// For rules of a trainer's own: what the update holds for the statistics is
// added to the center's.
void AddStatistics(const Update& update, Shard& shard);

}  // namespace monsoon
