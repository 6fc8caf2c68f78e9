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
// Errors:   whatever Link returns; x and the kept center are then undefined.
// The
//           gradient form takes plain local steps (CheckOptimizer).
// Threads:  immutable, safe from any thread; the server half runs under the
//           shard's lock and does not block.
// Statistics (batch norm): in both forms the mean over the workers of their
//           deltas is added to c; ServerOpt does not see them.
// Schedules: server_lr is multiplied by the factor of the worker who pushes
//           (gradient form).
// Cost:     one PushPull of P floats each way per window. Gradient form: one
//           replica slot for windows above 1, none for 1 (a pass more for
//           clipping or decay); on the server the slots of server_optimizer.
//           Delta form: the replica keeps the center, in whose memory the
//           update lies then.
// Departs:  one period for pushing and fetching, in one atomic request per
//           shard, where the paper has two periods and three loose threads. The
//           last step of a window moves no x, as the reply overwrites it.
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "trainers/delta_trainer.h"
#include "trainers/elements.h"
#include "trainers/server_rule.h"

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
        rule_(hyper, "sgd", hyper.facts().lr) {
    hyper.Warn(window_ > 5 && hyper.facts().workers > 8,
               absl::StrCat("window=", window_, " with ", hyper.facts().workers,
                            " workers: expected at most 5 beyond 8 workers; ",
                            "sums of stale steps diverge"));
  }

  Traits traits() const override {
    Traits traits{
        .pushes = sends_gradients_ ? Payload::kGradient : Payload::kDelta,
        .replies = Payload::kCenter};
    traits.reach = sends_gradients_ ? rule_.reach() : 1;
    if (sends_gradients_) traits.local_step = LocalStep::kPlain;
    return traits;
  }

  absl::Status Start(Replica& r, Link& link) const override {
    if (!sends_gradients_) return Trainer::Start(r, link);
    RETURN_IF_ERROR(link.Pull(r.x));
    r.KeepCenter(r.statistics());
    return absl::OkStatus();
  }

  // The gradient form sums the window's gradients: backward itself writes the
  // first and adds the last, so only those in between cost a pass. On a device
  // a sink has to be the same at every step: there windows of several steps
  // cost a pass each.
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
      ForEach(SgdStep{lr}, r.x, Sum(r));
      return;
    }
    r.PrepareGradient();
    if (window_ == 1) return;
    ForEach(SumGradient{lr, r.pending == 0}, r.x, Sum(r), r.gradient);
  }

  bool Due(const Replica& r) const override { return r.pending >= window_; }

  absl::Status Exchange(Replica& r, Link& link) const override {
    if (!sends_gradients_) return ExchangeWay(r, link);
    Flat& update = Sum(r);
    r.PutStatistics(update);
    absl::Status status = link.PushPull(update, r.x);
    if (!status.ok()) {
      r.gradient.CopyFrom(update);  // where the loop looks for what is wrong
      return status;
    }
    r.KeepCenter(r.statistics());
    return absl::OkStatus();
  }

  void Apply(const Update& update, Shard& shard) const override {
    if (!sends_gradients_) return Trainer::Apply(update, shard);
    rule_.Descend(update, shard);
  }

 private:
  // The step at hand is the last of its window.
  bool IsLast(const Replica& r) const { return r.pending + 1 >= window_; }
  // Backward adds to the sum by itself: nobody needs the single gradient.
  bool BackwardSums(const Replica& r) const {
    if (r.prepares_gradient()) return false;
    if (window_ > 1 && r.x.queue() != nullptr) return false;
    return r.pending == 0 || IsLast(r);
  }
  // The window's gradients; a window of one step needs no memory of its own.
  Flat& Sum(Replica& r) const {
    return window_ == 1 ? r.gradient : r.slot("gradients");
  }

  const int64_t window_;
  const bool sends_gradients_;
  const ServerRule rule_;
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
