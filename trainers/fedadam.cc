// SPDX-License-Identifier: Apache-2.0
// FedAdam: federated rounds, and an adaptive optimizer on the servers.
//
// Source:   Reddi et al. 2021, Adaptive Federated Optimization (ICLR,
//           arXiv:2003.00295), Algorithm 2.
// Rule:     rounds as fedavg; with D the cohort's mean of x_k - c:
//             m <- beta1*m + (1 - beta1)*D
//             adagrad:  v <- v + D^2
//             adam:     v <- beta2*v + (1 - beta2)*D^2
//             yogi:     v <- v - (1 - beta2)*D^2*sign(v - D^2)
//             c <- c + server_lr*m / (sqrt(v) + tau)
// Symbols:  m, v the shard's slots "mean", "squares", v from tau^2 on; c
//           shard.center; [P] float32. See Federated for the rest.
// Units:    tau in parameters: how far a step may be amplified.
// Departs:  none: without bias correction, as in the paper.

#include "trainers/elements.h"
#include "trainers/federated.h"
#include "trainers/server_elements.h"
#include "trainers/server_rule.h"

namespace monsoon {
namespace {

class FedAdam final : public Federated {
 public:
  explicit FedAdam(Hyperparameters& hyper)
      : Federated(hyper, kLocalEpochs),
        rule_(hyper.Choice("rule", "adam", {"adagrad", "adam", "yogi"},
                           "how squares are remembered")),
        beta1_(Part(hyper, "beta1", 0.9)),
        beta2_(Part(hyper, "beta2", 0.99)),
        tau_(static_cast<float>(
            hyper.Number("tau", 1e-3, {.min = 0, .min_open = true},
                         "added to the root of the squares"))),
        lr_(static_cast<float>(hyper.Number("server_lr", 0.02,
                                            {.min = 0, .min_open = true},
                                            "the servers' rate"))) {}

  Traits traits() const override {
    Traits traits = Federated::traits();
    traits.reach = Traits().reach;  // small squares make large steps
    return traits;
  }
  void Apply(const Update& update, Shard& shard) const override {
    Flat c = shard.center.Slice(0, shard.parameters);
    const Flat d = update.value.Slice(0, shard.parameters);
    Flat m = shard.slot("mean").Slice(0, shard.parameters);
    Flat v = shard.slot("squares").Slice(0, shard.parameters);
    double& rounds = shard.slots.number("rounds");
    if (rounds == 0) ForEach(SetTo{tau_ * tau_}, v);
    rounds += 1;
    if (rule_ == "adagrad") {
      ForEach(AddSquare{}, v, d);
    } else if (rule_ == "adam") {
      ForEach(MeanSquare{beta2_}, v, d);
    } else {
      ForEach(YogiSquare{beta2_}, v, d);
    }
    ForEach(FedAdamStep{beta1_, lr_, tau_}, c, m, v, d);
    AddStatistics(update, shard);
  }

 private:
  // The servers' rule needs some rounds: the paper's runs have hundreds.
  static constexpr double kLocalEpochs = 0.2;

  static float Part(Hyperparameters& hyper, const char* key, double fallback) {
    return static_cast<float>(
        hyper.Number(key, fallback, {.min = 0, .max = 1, .max_open = true},
                     "the part of the mean that stays"));
  }

  const std::string rule_;
  const float beta1_, beta2_, tau_, lr_;
};

REGISTER_TRAINER("fedadam", FedAdam,
                 {.title = "federated rounds, Adam on the servers",
                  .equation = "every round, D = mean (x_k - c): m, v <- "
                              "Adam's of D, c <- c + lr*m/(sqrt(v) + tau)",
                  .source = "Reddi et al. 2021, ICLR, arXiv:2003.00295",
                  .optimizer = "sgd",
                  .lr = 0.1f});

}  // namespace
}  // namespace monsoon
