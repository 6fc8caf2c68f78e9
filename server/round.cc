// SPDX-License-Identifier: Apache-2.0
#include "server/round.h"

#include <algorithm>

#include "base/mutant.h"
#include "base/status_macros.h"
#include "trainers/elements.h"
#include "trainers/server_elements.h"

namespace monsoon {

void Round::Add(const Update& update, double largest) {
  if (used_ == pushes_.size())
    pushes_.push_back({.value = Flat(size_, memory_)});
  Push& push = pushes_[used_++];
  push.value.CopyFrom(update.value);
  push.weight = double{update.weight};
  push.lr_factor = double{update.lr_factor};
  push.worker = update.worker;
  push.staleness = update.staleness;
  push.local_steps = update.local_steps;
  push.samples = update.samples;
  bound_ += push.weight * largest;
}

int64_t Round::CountOf(absl::Span<const int> workers) const {
  const auto end = pushes_.begin() + static_cast<std::ptrdiff_t>(used_);
  return std::count_if(workers.begin(), workers.end(), [&](int worker) {
    return std::any_of(pushes_.begin(), end,
                       [&](const Push& push) { return push.worker == worker; });
  });
}

Update Round::Mean(double progress) {
  const auto end = pushes_.begin() + static_cast<std::ptrdiff_t>(used_);
  // Who pushed twice comes in the order of its pushes.
  if (!Mutant("round-in-order-of-arrival")) {
    std::stable_sort(pushes_.begin(), end, [](const Push& a, const Push& b) {
      return a.worker < b.worker;
    });
  }
  if (mean_.empty()) mean_ = Flat(size_, memory_);
  ForEach(SetTo{0}, mean_);
  double weight = 0, lr_factor = 0;
  int64_t staleness = 0, local_steps = 0, samples = 0;
  for (auto push = pushes_.begin(); push != end; ++push) {
    ForEach(AddScaled{static_cast<float>(push->weight)}, mean_, push->value);
    weight += push->weight;
    lr_factor += push->weight * push->lr_factor;
    staleness = std::max(staleness, push->staleness);
    local_steps += push->local_steps;
    samples += push->samples;
  }
  const auto total = static_cast<float>(weight);
  ForEach(DivideBy{total}, mean_);
  return {.value = mean_,
          .weight = total,
          .worker = static_cast<int>(pushes_[used_ - 1].worker),
          .staleness = staleness,
          .local_steps = local_steps,
          .samples = samples,
          .progress = progress,
          .lr_factor = static_cast<float>(lr_factor / weight)};
}

void Round::Clear() {
  used_ = 0;
  bound_ = 0;
}

void Round::Save(Writer& writer) const {
  writer.Double(bound_);
  writer.Int(count());
  for (size_t i = 0; i < used_; ++i) {
    const Push& push = pushes_[i];
    writer.Floats(push.value);
    writer.Double(push.weight);
    writer.Double(push.lr_factor);
    for (int64_t value :
         {push.worker, push.staleness, push.local_steps, push.samples}) {
      writer.Int(value);
    }
  }
}

absl::Status Round::Load(Reader& reader) {
  int64_t count = 0;
  RETURN_IF_ERROR(reader.Double(bound_));
  RETURN_IF_ERROR(reader.Int(count));
  pushes_.clear();
  used_ = 0;
  for (; count > 0; --count, ++used_) {
    Push push;
    RETURN_IF_ERROR(reader.Floats(push.value, memory_));
    RETURN_IF_ERROR(reader.Double(push.weight));
    RETURN_IF_ERROR(reader.Double(push.lr_factor));
    for (int64_t* value :
         {&push.worker, &push.staleness, &push.local_steps, &push.samples}) {
      RETURN_IF_ERROR(reader.Int(*value));
    }
    pushes_.push_back(std::move(push));
  }
  return absl::OkStatus();
}

}  // namespace monsoon
