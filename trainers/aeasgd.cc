// SPDX-License-Identifier: Apache-2.0
// AEASGD: asynchronous elastic averaging SGD.
//
// Source:   Zhang, Choromanska, LeCun 2015, Algorithm 1 (arXiv:1412.6651).
// Rule:     x <- Opt(x, g) every step; every `window` steps, atomically:
//             e = alpha*(x - c),  c <- c + e,  x <- x - e
// Symbols:  x replica.x, c shard.center, e the elastic difference; all [P]
//           float32.
// Units:    `window` in local steps; alpha dimensionless, 0 < alpha < 1.
// Errors:   whatever Link returns; x is unchanged if PushPull fails.
// Threads:  immutable, safe from any thread; the server half runs under the
//           shard's lock and does not block.
// Cost:     see ElasticTrainer, which is all of it.
// Departs:  the exchange follows the local step, and the gradient is taken at
//           the moved x; in the paper the exchange precedes the step, with the
//           gradient of the unmoved x. The paper reads c and adds e in two
//           requests; here it is one, which widens the stable range of alpha.
//           There is no exchange at step 0, where x = c makes it empty.
#include "trainers/elastic_trainer.h"

namespace monsoon {
namespace {

class Aeasgd final : public ElasticTrainer {
 public:
  explicit Aeasgd(Hyperparameters& hyper) : ElasticTrainer(hyper) {}
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
