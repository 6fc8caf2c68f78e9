// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "base/random.h"
#include "data/loader.h"
#include "models/model.h"
#include "worker/training_loop.h"

namespace monsoon {

// What the draws of a worker's steps are counted from.
inline uint64_t FirstDraw(uint64_t seed, int worker) {
  return Random({seed, Random::kDropout, static_cast<uint64_t>(worker)}).Next();
}

// Batches of a loader through a model, on the processor. Both outlive it. One
// thread.
class BatchSource final : public GradientSource {
 public:
  BatchSource(Loader& loader, Model& model, uint64_t first_draw)
      : loader_(loader), model_(model), first_draw_(first_draw) {}
  int Next() override {
    count_ = loader_.Next(model_.input(), model_.labels());
    return count_;
  }
  Losses Gradient(Flat& x, const GradientSink& sink) override {
    // A loader that resumes has handed out the same number of samples.
    const auto step = static_cast<uint64_t>(loader_.samples());
    const float loss = model_.Step(count_, x, sink, first_draw_ + step);
    return {double{loss} * count_, count_};
  }

 private:
  Loader& loader_;
  Model& model_;
  const uint64_t first_draw_;
  int count_ = 0;
};

}  // namespace monsoon
