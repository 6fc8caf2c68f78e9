// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/flat.h"
#include "base/layout.h"
#include "trainers/optimizer.h"
#include "trainers/schedule.h"
#include "trainers/slots.h"

namespace monsoon {

// What a worker does whatever its trainer and optimizer. A value.
struct LocalRules {
  // Times the parameter is added to its gradient: L2, as PyTorch's SGD has it.
  // Tensors of kind kWeight alone.
  float weight_decay = 0;
  // A longer gradient is scaled to this Euclidean norm, over all parameters and
  // before decay is added (Pascanu, Mikolov, Bengio 2013, arXiv:1211.5063). 0:
  // none is too long.
  float clip_norm = 0;
  Schedule schedule;
  // Of this worker, in one epoch: turns samples into the schedule's epochs.
  double epoch_samples = 1;
  // That push statistics to one center, which takes their mean.
  int workers = 1;
};

// A worker's copy of the parameters and everything that it knows: what a
// trainer's worker half reads and writes. One thread at a time.
//
// Vectors have P floats: the parameters, and behind them the statistics (batch
// norm), which the model itself moves in x, and whose gradient is 0.
class Replica final : private GradientListener {
 public:
  // `optimizer` and `memory`, in which all vectors lie, outlive the replica.
  Replica(int worker, const ParameterLayout& layout, const Optimizer& optimizer,
          const LocalRules& rules = {}, MemoryResource& memory = HeapMemory());
  // Of one tensor of weights, without rules.
  Replica(int worker, int64_t weights, const Optimizer& optimizer);

  const int worker;
  Flat x;         // [P]
  Flat gradient;  // [P], for a trainer's Sink; else anything
  Flat mapped;    // [P], of a trainer that maps the center (Link::Map): that
                  // itself, which other workers write to meanwhile; not saved
  int64_t step = 0;             // local steps so far
  int64_t samples = 0;          // samples of those
  int64_t pending = 0;          // local steps since the last exchange
  int64_t pending_samples = 0;  // samples of those

  // The center as last pulled, or its statistics, for trainers that keep it;
  // else empty. Replicas may share one, which then never changes.
  const Flat& center() const;
  // Keeps a copy of `center`, which is whole or its statistics alone.
  void KeepCenter(const Flat& center);

  // The way that x has gone since center() was kept, divided by `steps`, and
  // the statistics' part of it (PutStatistics): an update that is added to a
  // center, or to the mean of a round. Lies in the memory of center(), which is
  // no more until a new one is written there, or kept. REQUIRES: a whole center
  // is kept.
  Flat& TakeWay(float steps = 1, int64_t in_mean = 1);

  // For who keeps many replicas in one process (sim/), of which few compute at
  // a time: what is dropped below gives its memory back, from now on.
  void SaveMemory() { saves_memory_ = true; }
  // x is not read before it is written anew: a trainer may say so when its
  // update lies elsewhere, and x is overwritten by the reply.
  void DropX();
  // Nothing reads or writes this replica until Wake: where x is the kept
  // center, it is dropped meanwhile.
  void Rest();
  void Wake();

  // State of the trainer, by name; [P] zeros at first.
  Flat& slot(const std::string& name) { return slots_.vector(name); }
  double& number(const std::string& name) { return slots_.number(name); }
  double number(const std::string& name) const { return slots_.number(name); }

  // Floats in front of the statistics: what an optimizer may move.
  int64_t parameters() const { return parameters_; }
  // The statistics in x; empty where the model has none.
  Flat statistics() { return x.Slice(parameters_, x.size() - parameters_); }
  // Writes the statistics' part of an update [P]: the way that they have gone
  // since center() was kept, divided by the workers, as the servers add it; or
  // less, where they add the mean of `in_mean` updates, at most of all
  // workers'. So the center's follow the mean of what the workers see; a sum of
  // n deltas overshoots from n = 2 on, and may turn a variance negative.
  void PutStatistics(Flat& update, int64_t in_mean = 1);

  const Optimizer& optimizer() const { return optimizer_; }
  // What the schedule makes of the rate, for the step at hand; 1 at first.
  float lr_factor() const { return lr_factor_; }
  // The rate of that step.
  float lr() const { return optimizer_.lr() * lr_factor_; }
  // Passes over its own share of the data that the worker has done.
  double epochs() const {
    return static_cast<double>(samples) / rules_.epoch_samples;
  }
  double pending_epochs() const {
    return static_cast<double>(pending_samples) / rules_.epoch_samples;
  }
  // A step begins: brings lr() up to date.
  void BeginStep();

  // True where PrepareGradient may change something.
  bool prepares_gradient() const {
    return rules_.clip_norm > 0 || rules_.weight_decay > 0 ||
           optimizer_.takes_tensors();
  }
  // `gradient` is that of one batch: clips it, and adds the weights' decay,
  // where the optimizer does not apply that itself.
  void PrepareGradient();
  // x moves along `gradient`, which is prepared, by the local optimizer.
  void Step();
  // x moves along the gradient by the local optimizer: between these two, the
  // gradient goes into the sink. Plain SGD lets backward write into x itself;
  // the other rules follow range by range, while the gradient is in cache; and
  // where PrepareGradient needs the whole of it, all is done at the end. On a
  // device the sink is the same at every step, so that backward can be recorded
  // once: plain SGD follows range by range there too.
  GradientSink BeginLocalStep();
  void EndLocalStep();

  void Save(Writer& writer) const;
  absl::Status Load(Reader& reader);

 private:
  void Take(int64_t offset, const Flat& range) override;
  absl::Span<float* const> touches() const override { return touches_; }

  // The rate is folded into backward's product.
  bool folds_step() const {
    return optimizer_.is_plain_sgd() && x.queue() == nullptr;
  }

  // A tensor of parameters.
  struct Tensor {
    int64_t offset, size;
    bool is_weight;
  };

  MemoryResource& memory_;
  const Optimizer& optimizer_;
  int64_t stepped_ = 0;          // parameters that the step at hand has moved
  std::vector<float*> touches_;  // what it reads and writes
  const LocalRules rules_;
  const int64_t parameters_;
  std::vector<Tensor> tensors_;
  float lr_factor_ = 1;
  Slots slots_;
  Slots optimizer_slots_;
  bool saves_memory_ = false;
  bool rests_without_x_ = false;
  // Shared: whoever pulled the same version may hold the same center.
  std::shared_ptr<Flat> center_;
};

}  // namespace monsoon
