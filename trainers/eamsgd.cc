// SPDX-License-Identifier: Apache-2.0
// EAMSGD: elastic averaging with momentum.
//
// Source:   Zhang, Choromanska, LeCun 2015, Algorithm 2 (arXiv:1412.6651).
// Rule:     every step, Nesterov's momentum with the look ahead:
//             v <- delta*v - lr*g(x + delta*v),  x <- x + v
//           every `window` steps, atomically:
//             e = alpha*(x - c),  c <- c + e,  x <- x - e
// Symbols:  x replica.x, v its slot "velocity", g replica.gradient, c
//           shard.center, delta the key `momentum`; all [P] float32.
// Units:    `window` in local steps; lr is --lr by its schedule.
// Errors:   whatever Link returns; x is unchanged if PushPull fails.
// Threads:  immutable, safe from any thread; the server half runs under the
//           shard's lock and does not block.
// Statistics (batch norm) are averaged like everything else; v has none.
// Cost:     see ElasticTrainer; a slot of P floats on each worker, and one pass
//           over memory more than a fused local step.
// Departs:  as aeasgd. The exchange does not touch v, as in the authors' code.
#include "trainers/elastic_trainer.h"
#include "trainers/elements.h"

namespace monsoon {
namespace {

class Eamsgd final : public ElasticTrainer {
 public:
  explicit Eamsgd(Hyperparameters& hyper)
      : ElasticTrainer(hyper),
        momentum_(static_cast<float>(hyper.Number(
            "momentum", 0.9, {.min = 0, .max = 1, .max_open = true},
            "delta: the part of the velocity that stays"))) {}

  Traits traits() const override {
    Traits traits = ElasticTrainer::traits();
    traits.local_step = LocalStep::kPlain;
    return traits;
  }
  void BeforeGradient(Replica& r) const override {
    ForEach(AddScaled{momentum_}, r.x, r.slot("velocity"));
  }
  GradientSink Sink(Replica& r) const override { return {r.gradient}; }
  void AfterGradient(Replica& r) const override {
    r.PrepareGradient();
    Flat x = r.x.Slice(0, r.parameters());
    Flat v = r.slot("velocity").Slice(0, r.parameters());
    const Flat g = r.gradient.Slice(0, r.parameters());
    // x has looked ahead: what is left of the way x + v is -lr*g.
    ForEach(EamsgdStep{momentum_, r.lr()}, x, v, g);
  }

 private:
  const float momentum_;
};

REGISTER_TRAINER("eamsgd", Eamsgd,
                 {.title = "elastic averaging SGD with momentum",
                  .equation = "v <- delta*v - lr*g(x + delta*v), x <- x + v; "
                              "every window: e = alpha*(x - c), c <- c + e, "
                              "x <- x - e",
                  .source = "Zhang, Choromanska, LeCun 2015, arXiv:1412.6651",
                  .optimizer = "sgd",
                  .lr = 0.05f});

}  // namespace
}  // namespace monsoon
