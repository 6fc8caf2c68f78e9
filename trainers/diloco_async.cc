// SPDX-License-Identifier: Apache-2.0
// Asynchronous local SGD with delayed Nesterov momentum.
//
// Source:   Liu et al. 2024, Asynchronous Local-SGD Training for Language
//           Modeling (arXiv:2401.09135), in the form of HALoS.
// Rule:     x <- Opt(x, g) every step; every `window` steps a push of D = x -
//           c'; the t-th that a shard gets:
//             B <- B + D
//             every N-th:  m <- beta*m + B/N,  B <- 0,
//                          c <- c + server_lr*((1 - a*N + a)*beta*m + D/N)
//             the others:  c <- c + server_lr*(a*beta*m + D/N)
//           and the worker goes on from x <- c.
// Symbols:  x replica.x, c shard.center, c' the center as the worker last
//           pulled it, B, m the shard's slots "buffer", "momentum", N the key
//           `buffer`, a `spread`, beta `momentum`; vectors are [P] float32.
// Units:    `window` in local steps, `buffer` in pushes.
// Errors:   whatever Link returns; x and c' are then undefined.
// Threads:  immutable, safe from any thread; the server half runs under the
//           shard's lock and does not block.
// Statistics (batch norm): the mean over the workers of their deltas is added.
// Cost:     see DeltaTrainer; two slots on the servers.
// Departs:  the paper also gives slow workers fewer local steps (DyLU); here
//           all have the same window, as a trainer sees no clock.
#include <cmath>

#include "trainers/delta_trainer.h"
#include "trainers/server_elements.h"
#include "trainers/server_rule.h"

namespace monsoon {
namespace {

class DiLoCoAsync final : public DeltaTrainer {
 public:
  explicit DiLoCoAsync(Hyperparameters& hyper)
      : DeltaTrainer(Window(hyper, 30)),
        buffer_(hyper.Count("buffer", hyper.facts().workers, 1,
                            "N: pushes between two steps of the momentum")),
        momentum_(static_cast<float>(hyper.Number(
            "momentum", 0.9, {.min = 0, .max = 1, .max_open = true},
            "beta: of the outer momentum"))),
        spread_(static_cast<float>(hyper.Number(
            "spread", 0, {.min = 0, .max = MostSpread(buffer_)},
            "part of the momentum that each push moves by; the rest comes "
            "with the N-th; at most 1/N"))),
        lr_(static_cast<float>(hyper.Number("server_lr", 0.7,
                                            {.min = 0, .min_open = true},
                                            "the outer rate"))) {}

  void Apply(const Update& update, Shard& shard) const override {
    double& pushes = shard.slots.number("pushes");
    pushes += 1;
    const bool closes = static_cast<int64_t>(pushes) % buffer_ == 0;
    const auto n = static_cast<float>(buffer_);
    const float part = closes ? 1 - spread_ * n + spread_ : spread_;
    Flat c = shard.center.Slice(0, shard.parameters);
    const Flat d = update.value.Slice(0, shard.parameters);
    Flat b = shard.slot("buffer").Slice(0, shard.parameters);
    Flat m = shard.slot("momentum").Slice(0, shard.parameters);
    ForEach(DelayedNesterov{closes, n, part, momentum_, lr_}, c, b, m, d);
    AddStatistics(update, shard);
  }
  Traits traits() const override {
    Traits traits = DeltaTrainer::traits();
    traits.reach = Traits().reach;  // momentum may go on for long
    return traits;
  }

 private:
  // 1/N, as its next float: the servers read the key as the float's text, which
  // may be a little above what was given.
  static double MostSpread(int64_t buffer) {
    return double{std::nextafter(1.0f / static_cast<float>(buffer), 1.0f)};
  }

  const int64_t buffer_;
  const float momentum_, spread_, lr_;
};

REGISTER_TRAINER("diloco_async", DiLoCoAsync,
                 {.title = "asynchronous DiLoCo, delayed Nesterov",
                  .equation = "every window: B += x - c', each N pushes m <- "
                              "beta*m + B/N; c <- c + lr*(beta*m + (x - "
                              "c')/N), x <- c",
                  .source = "Liu et al. 2024, arXiv:2401.09135",
                  .optimizer = "adamw",
                  .lr = 0.001f});

}  // namespace
}  // namespace monsoon
