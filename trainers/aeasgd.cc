// SPDX-License-Identifier: Apache-2.0
// AEASGD: asynchronous elastic averaging SGD.
//
// Source:   Zhang, Choromanska, LeCun 2015, Algorithm 1 (arXiv:1412.6651).
// Rule:     every `window` steps, atomically per shard:
//             e = alpha*(x - c),  c <- c + e,  x <- x - e
// Symbols:  x replica.x, c shard.center, e the elastic difference; all [P]
//           float32. Both sides use the same bits of e, so the sum of replicas
//           and center changes by local steps alone.
// Units:    `window` in local steps; alpha dimensionless, 0 < alpha < 1.
// Errors:   whatever Link returns; x is unchanged if PushPull fails.
// Threads:  immutable, safe from any thread; the server half runs under the
//           shard's lock and does not block.
// Statistics (batch norm) are averaged like everything else.
// Cost:     one PushPull of P floats each way per window. The server keeps each
//           worker's last e (a repeated push is answered with it): workers x
//           model bytes. On the worker e lies in r.gradient, free then.
// Departs:  the exchange follows the local step, and the gradient is taken at
//           the moved x; in the paper the exchange precedes the step, with the
//           gradient of the unmoved x. The paper reads c and adds e in two
//           requests; here it is one, which widens the stable range of alpha.
//           There is no exchange at step 0, where x = c makes it empty.
#include "base/status_macros.h"
#include "trainers/trainer.h"

namespace monsoon {
namespace {

class Aeasgd final : public Trainer {
 public:
  explicit Aeasgd(Hyperparameters& hyper)
      : alpha_(static_cast<float>(hyper.Number(
            "alpha", 0.9 / hyper.facts().workers,
            {.min = 0, .max = 1, .min_open = true, .max_open = true},
            "moving rate, the part of the distance to the center by which "
            "both move; keep alpha*(workers + 1) below 2, beyond which "
            "exchanges that coincide diverge"))),
        window_(hyper.Count("window", 32, 1, "local steps between exchanges")) {
  }

  Traits traits() const override {
    return {.pushes = Payload::kParameters,
            .replies = Payload::kElastic,
            .reach = alpha_};
  }
  absl::Status Start(Replica& r, Link& link) const override {
    return link.Pull(r.x);
  }
  bool Due(const Replica& r) const override { return r.pending >= window_; }

  absl::Status Exchange(Replica& r, Link& link) const override {
    Flat& elastic = r.gradient;
    RETURN_IF_ERROR(link.PushPull(r.x, elastic));
    ForEach([](float& x, float e) { x -= e; }, r.x, elastic);
    return absl::OkStatus();
  }

  void Apply(const Update& update, Shard& shard) const override {
    Flat& elastic = Elastic(update, shard);
    if (shard.reply_code == nullptr) {
      ForEach(
          [alpha = alpha_](float& e, float& c, float x) {
            e = alpha * (x - c);
            c += e;
          },
          elastic, shard.center, update.value);
      return;
    }
    ForEach(
        [alpha = alpha_](float& e, float c, float x) { e = alpha * (x - c); },
        elastic, shard.center, update.value);
    shard.RoundReply(elastic);
    ForEach([](float& c, float e) { c += e; }, shard.center, elastic);
  }
  const Flat& Reply(const Update& update, Shard& shard) const override {
    return Elastic(update, shard);
  }

 private:
  static Flat& Elastic(const Update& update, Shard& shard) {
    return shard.slot("elastic", update.worker);
  }

  const float alpha_;
  const int64_t window_;
};

REGISTER_TRAINER("aeasgd", Aeasgd,
                 {.title = "asynchronous elastic averaging SGD",
                  .equation = "every window: e = alpha*(x - c), c <- c + e, "
                              "x <- x - e",
                  .source = "Zhang, Choromanska, LeCun 2015, arXiv:1412.6651",
                  .optimizer = "nesterov",
                  .lr = 0.05f});

}  // namespace
}  // namespace monsoon
