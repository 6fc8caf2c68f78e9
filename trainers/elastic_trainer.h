// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "trainers/trainer.h"

namespace monsoon {

// The exchange of elastic averaging, Zhang, Choromanska, LeCun 2015
// (arXiv:1412.6651): every `window` steps, atomically per shard,
//   e = alpha*(x - c),  c <- c + e,  x <- x - e
// with the same bits of e on both sides, so that the sum of replicas and center
// changes by local steps alone. Statistics are averaged like everything else.
// Costs P floats each way per window; the server keeps each worker's last e,
// with which a repeated push is answered: workers x model bytes. On the worker
// e lies in r.gradient, free then.
class ElasticTrainer : public Trainer {
 public:
  Traits traits() const override {
    return {.pushes = Payload::kParameters,
            .replies = Payload::kElastic,
            .reach = alpha_};
  }
  absl::Status Start(Replica& r, Link& link) const override {
    return link.Pull(r.x);
  }
  bool Due(const Replica& r) const override { return r.pending >= window_; }
  // x is unchanged where it fails.
  absl::Status Exchange(Replica& r, Link& link) const override;
  void Apply(const Update& update, Shard& shard) const override;
  const Flat& Reply(const Update& update, Shard& shard) const override;

 protected:
  // With the keys alpha and window.
  explicit ElasticTrainer(Hyperparameters& hyper);

 private:
  const float alpha_;
  const int64_t window_;
};

}  // namespace monsoon
