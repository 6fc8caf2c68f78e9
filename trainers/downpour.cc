// SPDX-License-Identifier: Apache-2.0
// Downpour: asynchronous SGD on shared parameters.
//
// Source:   Dean et al. 2012, Large Scale Distributed Deep Networks (NIPS).
//           The delta form is the DOWNPOUR of dist-keras.
// Rule:     every `window` steps,
//             gradient form:  c <- ServerOpt(c, sum of g),  x <- c
//             delta form:     c <- c + (x - c'),            x <- c
//           and between the exchanges a local step: x <- x - lr*g (gradient
//           form), any local optimizer (delta form).
// Symbols:  x replica.x, g replica.gradient, c shard.center, c' the center as
//           the worker last pulled it; all [P] float32.
// Units:    `window` in local steps; gradients are means over a mini-batch, so
//           a window's sum grows with the window.
// Errors:   INVALID_ARGUMENT from Start for a local optimizer with a memory in
//           the gradient form; whatever Link returns, x is then undefined.
// Threads:  immutable, safe from any thread; the server half runs under the
//           shard's lock and does not block.
// Cost:     one PushPull of P floats each way per window. Gradient form: one
//           replica slot for windows above 1, none for 1; on the server the
//           slots of server_optimizer. Delta form: the replica keeps the
//           center, and the update lies in r.gradient, which is free then.
// Departs:  one period for pushing and fetching, in one atomic request per
//           shard, where the paper has two periods and three loose threads. The
//           last step of a window moves no x, as the reply overwrites it.
#include "base/status_macros.h"
#include "trainers/trainer.h"

namespace monsoon {
namespace {

class Downpour final : public Trainer {
 public:
  explicit Downpour(Hyperparameters& hyper)
      : window_(hyper.Count("window", 1, 1,
                            "local steps between exchanges; above 5 with many "
                            "workers diverges")),
        sends_gradients_(
            hyper.Choice(
                "form", hyper.facts().optimizer == "sgd" ? "gradient" : "delta",
                {"gradient", "delta"},
                "what is pushed: the window's gradients for "
                "server_optimizer, or the way gone by the local "
                "optimizer") == "gradient"),
        server_(ServerOptimizer(hyper)) {}

  Traits traits() const override {
    Traits traits{
        .pushes = sends_gradients_ ? Payload::kGradient : Payload::kDelta,
        .replies = Payload::kCenter};
    if (!sends_gradients_) traits.reach = 1;
    if (sends_gradients_ && server_->is_plain_sgd()) {
      traits.reach = server_->lr();
    }
    return traits;
  }

  absl::Status Start(Replica& r, Link& link) const override {
    if (!sends_gradients_) return Trainer::Start(r, link);
    if (!r.optimizer().is_plain_sgd()) {
      return absl::InvalidArgumentError(
          "trainer downpour with form=gradient takes plain local steps, but "
          "the local optimizer is not sgd: use --optimizer sgd (and --set "
          "server_optimizer=NAME for the rule on the servers), or --set "
          "form=delta");
    }
    return link.Pull(r.x);
  }

  // The gradient form sums the window's gradients: backward itself writes the
  // first and adds the last, so only those in between cost a pass.
  GradientSink Sink(Replica& r) const override {
    if (!sends_gradients_ || IsBetween(r)) return {r.gradient};
    return {Sum(r), 1, r.pending == 0 ? 0.0f : 1.0f};
  }

  void AfterGradient(Replica& r) const override {
    if (!sends_gradients_) return r.LocalStep();
    if (r.pending + 1 >= window_) return;  // the exchange overwrites x
    const float lr = r.optimizer().lr();
    if (!IsBetween(r)) {
      ForEach([lr](float& x, float g) { x -= lr * g; }, r.x, Sum(r));
      return;
    }
    ForEach(
        [lr](float& x, float& sum, float g) {
          x -= lr * g;
          sum += g;
        },
        r.x, Sum(r), r.gradient);
  }

  bool Due(const Replica& r) const override { return r.pending >= window_; }

  absl::Status Exchange(Replica& r, Link& link) const override {
    if (sends_gradients_) {
      absl::Status status = link.PushPull(Sum(r), r.x);
      // Where the loop looks for what a server refused.
      if (!status.ok()) r.gradient.CopyFrom(Sum(r));
      return status;
    }
    Flat& update = r.gradient;
    ForEach([](float& u, float x, float c) { u = x - c; }, update, r.x,
            r.center());
    RETURN_IF_ERROR(link.PushPull(update, r.x));
    r.KeepCenter(r.x);
    return absl::OkStatus();
  }

  void Apply(const Update& update, Shard& shard) const override {
    if (!sends_gradients_) return Trainer::Apply(update, shard);
    server_->Step(update.value, shard.center, shard.slots);
  }

 private:
  static std::unique_ptr<Optimizer> ServerOptimizer(Hyperparameters& hyper) {
    const std::string name =
        hyper.Choice("server_optimizer", "sgd", OptimizerNames(),
                     "the servers' rule in the gradient form");
    const double lr = hyper.Number(
        "server_lr", hyper.facts().lr, {.min = 0, .min_open = true},
        "its learning rate; the workers' --lr by default");
    return Registry<OptimizerEntry>::Get().Find(name)->make(
        static_cast<float>(lr));
  }

  // Neither the first nor the last step of a window comes next.
  bool IsBetween(const Replica& r) const {
    return r.pending > 0 && r.pending + 1 < window_;
  }
  // The window's gradients; a window of one step needs no memory of its own.
  Flat& Sum(Replica& r) const {
    return window_ == 1 ? r.gradient : r.slot("gradients");
  }

  const int64_t window_;
  const bool sends_gradients_;
  const std::unique_ptr<const Optimizer> server_;
};

REGISTER_TRAINER("downpour", Downpour,
                 {.title = "asynchronous SGD on shared parameters",
                  .equation = "every window: c <- Opt(c, sum g), or c <- c + "
                              "(x - c'); x <- c",
                  .source = "Dean et al. 2012, NIPS",
                  .optimizer = "sgd",
                  .lr = 0.1f});

}  // namespace
}  // namespace monsoon
