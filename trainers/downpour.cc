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
//           the gradient form; whatever Link returns, x and the kept center are
//           then undefined.
// Threads:  immutable, safe from any thread; the server half runs under the
//           shard's lock and does not block.
// Statistics (batch norm): in both forms the mean over the workers of their
//           deltas is added to c; ServerOpt does not see them.
// Schedules: a push carries the worker's factor as its weight, by which
//           server_lr is multiplied (gradient form).
// Cost:     one PushPull of P floats each way per window. Gradient form: one
//           replica slot for windows above 1, none for 1 (a pass more for
//           clipping or decay); on the server the slots of server_optimizer.
//           Delta form: the replica keeps the center, in whose memory the
//           update lies then.
// Departs:  one period for pushing and fetching, in one atomic request per
//           shard, where the paper has two periods and three loose threads. The
//           last step of a window moves no x, as the reply overwrites it.
#include <algorithm>

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
      traits.reach = std::max(1.0f, server_->lr());  // statistics: 1
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
    RETURN_IF_ERROR(link.Pull(r.x));
    r.KeepCenter(r.statistics());
    return absl::OkStatus();
  }

  // The gradient form sums the window's gradients: backward itself writes the
  // first and adds the last, so only those in between cost a pass.
  GradientSink Sink(Replica& r) const override {
    if (!sends_gradients_) return r.BeginLocalStep();
    if (!BackwardSums(r)) return {r.gradient};
    return {Sum(r), 1, r.pending == 0 ? 0.0f : 1.0f};
  }

  void AfterGradient(Replica& r) const override {
    if (!sends_gradients_) return r.EndLocalStep();
    const float lr = r.lr();
    if (BackwardSums(r)) {
      if (IsLast(r)) return;  // the exchange overwrites x
      ForEach([lr](float& x, float g) { x -= lr * g; }, r.x, Sum(r));
      return;
    }
    r.PrepareGradient();
    if (window_ == 1) return;
    ForEach(
        [lr, is_first = r.pending == 0](float& x, float& sum, float g) {
          x -= lr * g;
          sum = is_first ? g : sum + g;
        },
        r.x, Sum(r), r.gradient);
  }

  bool Due(const Replica& r) const override { return r.pending >= window_; }

  absl::Status Exchange(Replica& r, Link& link) const override {
    if (!sends_gradients_) {
      Flat& center = r.TakeWay();
      r.DropX();
      RETURN_IF_ERROR(link.PushPull(center, center));
      r.x.CopyFrom(center);
      return absl::OkStatus();
    }
    Flat& update = Sum(r);
    r.PutStatistics(update);
    // The servers' rate follows the schedule of the worker who pushes.
    absl::Status status = link.PushPull(update, r.x, r.lr_factor());
    if (!status.ok()) {
      r.gradient.CopyFrom(update);  // where the loop looks for what is wrong
      return status;
    }
    r.KeepCenter(r.statistics());
    return absl::OkStatus();
  }

  void Apply(const Update& update, Shard& shard) const override {
    if (!sends_gradients_) return Trainer::Apply(update, shard);
    Flat center = shard.center.Slice(0, shard.parameters);
    server_->Step(server_->lr() * update.weight,
                  update.value.Slice(0, shard.parameters), center, shard.slots);
    const int64_t statistics = shard.center.size() - shard.parameters;
    Flat rest = shard.center.Slice(shard.parameters, statistics);
    const Flat deltas = update.value.Slice(shard.parameters, statistics);
    ForEach([](float& c, float u) { c += u; }, rest, deltas);
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

  // The step at hand is the last of its window.
  bool IsLast(const Replica& r) const { return r.pending + 1 >= window_; }
  // Backward adds to the sum by itself: nobody needs the single gradient.
  bool BackwardSums(const Replica& r) const {
    return !r.prepares_gradient() && (r.pending == 0 || IsLast(r));
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
