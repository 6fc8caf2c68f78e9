// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/flat.h"
#include "base/trace.h"
#include "trainers/trainer.h"

namespace monsoon {

// Losses that have become known.
struct Losses {
  double sum = 0;  // over the samples
  int64_t samples = 0;

  double mean() const { return sum / static_cast<double>(samples); }
};

// What the loop learns from: batches of data through a model, or a function
// with a known minimum in a test. One thread.
class GradientSource {
 public:
  virtual ~GradientSource() = default;
  // Makes the next batch ready; its number of samples, 0 at the end of data.
  virtual int Next() = 0;
  // The gradient of that batch's mean loss at x goes to the sink. Statistics in
  // x (batch norm) move; all else in x is only read. The losses are that
  // batch's; where a device computes behind, earlier ones', each once.
  virtual Losses Gradient(Flat& x, const GradientSink& sink) = 0;
  // Those that Gradient has not returned yet; waits for them.
  virtual Losses Rest() { return {}; }
  // Waits for a device that computes behind, for local rules too, so that what
  // follows begins when they have ended.
  virtual void CatchUp() {}
  // Why what the last calls gave is void: the device has failed.
  virtual absl::Status status() const { return absl::OkStatus(); }
};

// The one training loop: the order in which it calls a trainer's worker half
// is the meaning of the Trainer interface. No branch on the algorithm. One
// thread; everything outlives the loop.
class TrainingLoop {
 public:
  // What a step did.
  struct Step {
    int samples = 0;  // 0: the data has ended and the tail was exchanged
    Losses losses;    // that became known meanwhile
  };

  // What the time of the steps went into, so far.
  struct Times {
    absl::Duration data;      // getting batches ready
    absl::Duration compute;   // gradients and local rules
    absl::Duration exchange;  // with the servers, waits for others included
  };

  // `trace` may be null.
  TrainingLoop(const Trainer& trainer, Replica& replica, Link& link,
               GradientSource& source, const Clock& clock,
               TraceSink* trace = nullptr)
      : trainer_(trainer),
        replica_(replica),
        link_(link),
        source_(source),
        clock_(clock),
        trace_(trace) {}

  absl::Status Start() { return trainer_.Start(replica_, link_); }
  // One batch, and the exchange if it is due. OUT_OF_RANGE: diverged, with
  // the step and what to do; otherwise what source or link say.
  absl::StatusOr<Step> Next();
  // After the last step: OUT_OF_RANGE where x is not finite, which an exchange
  // would have met.
  absl::Status CheckEnd() const;
  const Times& times() const { return times_; }

 private:
  // The time since the last call was of that kind, and goes to `into`.
  void Charge(TraceKind kind, absl::Duration& into);
  absl::Status Exchange();
  // OUT_OF_RANGE: they are not finite.
  absl::Status CheckLosses(const Losses& losses) const;
  absl::Status Diverged(const char* what, double found) const;

  const Trainer& trainer_;
  Replica& replica_;
  Link& link_;
  GradientSource& source_;
  const Clock& clock_;
  TraceSink* const trace_;
  Times times_;
  absl::Time charged_;
};

}  // namespace monsoon
