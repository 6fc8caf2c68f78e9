// SPDX-License-Identifier: Apache-2.0
#include "trainers/server_rule.h"

#include <algorithm>
#include <limits>

#include "trainers/elements.h"

namespace monsoon {
namespace {

std::unique_ptr<Optimizer> Make(Hyperparameters& hyper,
                                const std::string& optimizer, double lr) {
  const std::string name =
      hyper.Choice("server_optimizer", optimizer, ServerOptimizerNames(),
                   "the rule on the servers");
  const double rate = hyper.Number(
      "server_lr", lr, {.min = 0, .min_open = true}, "its learning rate");
  return Registry<OptimizerEntry>::Get().Find(name)->make(
      static_cast<float>(rate));
}

}  // namespace

ServerRule::ServerRule(Hyperparameters& hyper, const std::string& optimizer,
                       double lr)
    : optimizer_(Make(hyper, optimizer, lr)) {}

void ServerRule::Descend(const Update& update, Shard& shard) const {
  Step(optimizer_->lr() * update.lr_factor, update, shard);
}

void ServerRule::Follow(const Update& update, Shard& shard) const {
  // Every rule is odd: a step along -g at rate r is one along g at -r.
  Step(-optimizer_->lr(), update, shard);
}

void ServerRule::Step(float rate, const Update& update, Shard& shard) const {
  Flat center = shard.center.Slice(0, shard.parameters);
  optimizer_->Step(rate, update.value.Slice(0, shard.parameters), center,
                   shard.slots);
  AddStatistics(update, shard);
}

float ServerRule::reach() const {
  if (!optimizer_->is_plain_sgd()) {
    return std::numeric_limits<float>::infinity();
  }
  return std::max(1.0f, optimizer_->lr());  // statistics: 1
}

void AddStatistics(const Update& update, Shard& shard) {
  const int64_t count = shard.center.size() - shard.parameters;
  if (count == 0) return;
  Flat to = shard.center.Slice(shard.parameters, count);
  const Flat deltas = update.value.Slice(shard.parameters, count);
  ForEach(AddUpdate{}, to, deltas);
}

}  // namespace monsoon
