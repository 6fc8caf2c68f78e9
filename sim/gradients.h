// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "worker/training_loop.h"

namespace monsoon {

// The batches of one worker, as a Loader cuts them, without the data. A value.
struct BatchPlan {
  int64_t partition = 0;  // samples of the worker, in one epoch
  int64_t batch_size = 1;
  int64_t epochs = 0;

  int64_t batches_per_epoch() const {
    return (partition + batch_size - 1) / batch_size;
  }
  int64_t batches() const { return epochs * batches_per_epoch(); }
  // Samples of batch `index`, and of all before it. REQUIRES: 0 <= index,
  // below (or, of SamplesBefore, at most) batches().
  int64_t SamplesOf(int64_t index) const;
  int64_t SamplesBefore(int64_t index) const;
};

// A toy for speed: f(x) = sum (x_i - m_i)^2 / 2 with some minimum m, both of
// whose elements lie in [-1, 1]. A batch's gradient is x - m plus noise that is
// uniform in [-1, 1] and independent for each element, batch and worker. Reads
// no data; the loss is the mean over the first parameters alone, and of the
// noise it knows nothing. Bit for bit the same in every build. One thread.
class QuadraticSource final : public GradientSource {
 public:
  QuadraticSource(const BatchPlan& plan, uint64_t seed, int worker);

  int Next() override;
  Losses Gradient(Flat& x, const GradientSink& sink) override;
  // f(x) / parameters, over all of them.
  static double Value(const Flat& x);

 private:
  const BatchPlan plan_;
  const uint32_t key_;
  int64_t next_ = 0;  // batch
};

}  // namespace monsoon
