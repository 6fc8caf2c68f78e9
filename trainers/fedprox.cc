// SPDX-License-Identifier: Apache-2.0
// FedProx: federated averaging that stays near the center.
//
// Source:   Li et al. 2020, Federated Optimization in Heterogeneous Networks
//           (MLSys, arXiv:1812.06127).
// Rule:     as fedavg, with local steps along g + mu*(x - c'): the gradient of
//           the loss + (mu/2)*|x - c'|^2.
// Symbols:  g replica.gradient, x replica.x, c' the round's center as the
//           worker pulled it; [P] float32. See Federated for the rest.
// Units:    mu in 1 / rate.
// Departs:  as fedavg; clipping and weight decay are applied to g alone.
#include "trainers/elements.h"
#include "trainers/federated.h"

namespace monsoon {
namespace {

class FedProx final : public Federated {
 public:
  explicit FedProx(Hyperparameters& hyper)
      : Federated(hyper),
        mu_(static_cast<float>(
            hyper.Number("mu", 0.01, {.min = 0},
                         "pull back to the round's center; 0 is fedavg"))) {}

  GradientSink Sink(Replica& r) const override {
    return mu_ == 0 ? Federated::Sink(r) : GradientSink{r.gradient};
  }
  void AfterGradient(Replica& r) const override {
    if (mu_ == 0) return Federated::AfterGradient(r);
    r.PrepareGradient();
    Flat g = r.gradient.Slice(0, r.parameters());
    const Flat x = r.x.Slice(0, r.parameters());
    const Flat c = r.center().Slice(0, r.parameters());
    ForEach(PullToCenter{mu_}, g, x, c);
    r.Step();
  }

 private:
  const float mu_;
};

REGISTER_TRAINER("fedprox", FedProx,
                 {.title = "federated averaging with a proximal term",
                  .equation = "as fedavg, with g + mu*(x - c') for g",
                  .source = "Li et al. 2020, MLSys, arXiv:1812.06127",
                  .optimizer = "nesterov",
                  .lr = 0.05f});

}  // namespace
}  // namespace monsoon
