// SPDX-License-Identifier: Apache-2.0
#include "trainers/elastic_trainer.h"

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "trainers/elements.h"
#include "trainers/server_elements.h"

namespace monsoon {
namespace {

Flat& Elastic(const Update& update, Shard& shard) {
  return shard.slot("elastic", update.worker);
}

}  // namespace

ElasticTrainer::ElasticTrainer(Hyperparameters& hyper)
    : alpha_(static_cast<float>(hyper.Number(
          "alpha", 0.9 / hyper.facts().workers,
          {.min = 0, .max = 1, .min_open = true, .max_open = true},
          "moving rate, the part of the distance to the center by which "
          "both move; keep alpha*(workers + 1) below 2"))),
      window_(hyper.Count("window", 10, 1, "local steps between exchanges")) {
  const float bound = alpha_ * static_cast<float>(hyper.facts().workers + 1);
  hyper.Warn(bound >= 2,
             absl::StrCat("alpha=", alpha_, " with ", hyper.facts().workers,
                          " workers: alpha*(workers + 1) is ", bound,
                          ", expected below 2, beyond which exchanges that "
                          "coincide diverge; 0.9/workers is the paper's"));
}

absl::Status ElasticTrainer::Exchange(Replica& r, Link& link) const {
  Flat& elastic = r.gradient;
  RETURN_IF_ERROR(link.PushPull(r.x, elastic));
  ForEach(MoveBack{}, r.x, elastic);
  return absl::OkStatus();
}

void ElasticTrainer::Apply(const Update& update, Shard& shard) const {
  Flat& elastic = Elastic(update, shard);
  if (shard.reply_code == nullptr) {
    ForEach(ElasticMove{alpha_}, elastic, shard.center, update.value);
    return;
  }
  ForEach(ElasticDifference{alpha_}, elastic, shard.center, update.value);
  shard.RoundReply(elastic);
  ForEach(AddUpdate{}, shard.center, elastic);
}

const Flat& ElasticTrainer::Reply(const Update& update, Shard& shard) const {
  return Elastic(update, shard);
}

}  // namespace monsoon
