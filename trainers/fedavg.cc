// SPDX-License-Identifier: Apache-2.0
// FedAvg: federated averaging.
//
// Source:   McMahan et al. 2017, Communication-Efficient Learning of Deep
//           Networks from Decentralized Data (AISTATS, arXiv:1602.05629).
// Rule:     in each round a part of the workers, the cohort, trains for
//           local_epochs passes over its own data:
//             x_k <- Opt(x_k, g) from x_k = c,
//             c <- sum_k n_k*x_k / sum_k n_k
//           while the others wait for their round.
// Symbols, units, errors, threads, statistics, cost: see Federated.
// Departs:  a client's weight n_k are the samples of its round.
#include "trainers/federated.h"

namespace monsoon {
namespace {

class FedAvg final : public Federated {
 public:
  explicit FedAvg(Hyperparameters& hyper) : Federated(hyper) {}
};

REGISTER_TRAINER("fedavg", FedAvg,
                 {.title = "federated averaging",
                  .equation = "every round, its cohort: c <- sum n_k*x_k / "
                              "sum n_k, x <- c",
                  .source = "McMahan et al. 2017, AISTATS, arXiv:1602.05629",
                  .optimizer = "nesterov",
                  .lr = 0.05f});

}  // namespace
}  // namespace monsoon
