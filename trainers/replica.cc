// SPDX-License-Identifier: Apache-2.0
#include "trainers/replica.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/status_macros.h"
#include "trainers/elements.h"

namespace monsoon {
namespace {

ParameterLayout OneTensor(int64_t size) {
  ParameterLayout layout;
  layout.Add("x", {size}, TensorKind::kWeight);
  return layout;
}

}  // namespace

Replica::Replica(int rank, const ParameterLayout& layout,
                 const Optimizer& optimizer, const LocalRules& rules,
                 MemoryResource& memory)
    : worker(rank),
      x(layout.size(), memory),
      gradient(layout.size(), memory),
      memory_(memory),
      optimizer_(optimizer),
      rules_(rules),
      parameters_(layout.parameters()),
      slots_(layout.size(), memory),
      optimizer_slots_(parameters_, memory),
      center_(std::make_shared<Flat>()) {
  for (const TensorSpec& tensor : layout.tensors()) {
    if (tensor.kind == TensorKind::kStatistic) continue;
    tensors_.push_back(
        {tensor.offset, tensor.size(), tensor.kind == TensorKind::kWeight});
  }
}

Replica::Replica(int rank, int64_t weights, const Optimizer& optimizer)
    : Replica(rank, OneTensor(weights), optimizer) {}

const Flat& Replica::center() const { return *center_; }

void Replica::KeepCenter(const Flat& center) {
  const bool reusable =
      center_.use_count() == 1 && center_->size() == center.size();
  if (!reusable) center_ = std::make_shared<Flat>(center.size(), memory_);
  center_->CopyFrom(center);
}

Flat& Replica::TakeWay(float steps, int64_t in_mean) {
  MONSOON_CHECK(center_->size() == x.size(), "a whole center is kept");
  if (center_.use_count() > 1) {
    center_ = std::make_shared<Flat>(center_->Clone());
  }
  Flat& way = *center_;
  PutStatistics(way, in_mean);
  Flat u = way.Slice(0, parameters_);
  const Flat here = x.Slice(0, parameters_);
  if (steps == 1) {
    ForEach(WayFrom{}, u, here);
  } else {
    ForEach(WayPerStep{steps}, u, here);
  }
  return way;
}

void Replica::DropX() {
  if (saves_memory_) x.Discard();
}

void Replica::Rest() {
  if (!saves_memory_ || x.queue() != nullptr) return;
  if (center_->size() != x.size()) return;
  const absl::Span<const char> here = AsBytes(std::as_const(x).span());
  if (std::memcmp(here.data(), center_->data(), here.size()) != 0) return;
  rests_without_x_ = true;
  x.Discard();
}

void Replica::Wake() {
  if (std::exchange(rests_without_x_, false)) x.CopyFrom(*center_);
}

void Replica::PutStatistics(Flat& update, int64_t in_mean) {
  const int64_t count = x.size() - parameters_;
  if (count == 0) return;
  Flat to = update.Slice(parameters_, count);
  const Flat here = statistics();
  const Flat there = center_->Slice(center_->size() - count, count);
  const auto n = static_cast<float>(rules_.workers);
  const float updates = n / std::min(n, static_cast<float>(in_mean));
  ForEach(MeanWay{updates}, to, here, there);
}

void Replica::BeginStep() { lr_factor_ = rules_.schedule.Factor(epochs()); }

void Replica::PrepareGradient() {
  if (rules_.clip_norm > 0) {
    Flat parameters = gradient.Slice(0, parameters_);
    const double norm = Norm(parameters);
    if (norm > double{rules_.clip_norm}) {
      const auto scale = static_cast<float>(double{rules_.clip_norm} / norm);
      ForEach(ScaleBy{scale}, parameters);
    }
  }
  if (rules_.weight_decay == 0 || optimizer_.takes_tensors()) return;
  for (const Tensor& tensor : tensors_) {
    if (!tensor.is_weight) continue;
    Flat g = gradient.Slice(tensor.offset, tensor.size);
    const Flat weights = x.Slice(tensor.offset, tensor.size);
    ForEach(AddScaled{rules_.weight_decay}, g, weights);
  }
}

GradientSink Replica::BeginLocalStep() {
  if (prepares_gradient()) return {gradient};
  if (folds_step()) return {x, -lr(), 1};
  optimizer_.Begin(optimizer_slots_);
  stepped_ = 0;
  touches_.assign(1, x.data());
  optimizer_slots_.AppendVectors(touches_);
  return {gradient, 1, 0, this};
}

void Replica::Take(int64_t offset, const Flat& range) {
  // The gradient of statistics is none.
  const int64_t count = std::min(range.size(), parameters_ - offset);
  if (count <= 0) return;
  Flat parameters = x.Slice(offset, count);
  optimizer_.StepRange(lr(), range.Slice(0, count), parameters,
                       optimizer_slots_, offset);
  stepped_ += count;
}

void Replica::EndLocalStep() {
  if (!prepares_gradient()) {
    MONSOON_CHECK(folds_step() || stepped_ == parameters_,
                  "backward handed on every range of the gradient once");
    return;
  }
  PrepareGradient();
  Step();
}

void Replica::Step() {
  if (!optimizer_.takes_tensors()) {
    Flat parameters = x.Slice(0, parameters_);
    optimizer_.Step(lr(), gradient.Slice(0, parameters_), parameters,
                    optimizer_slots_);
    return;
  }
  optimizer_.Begin(optimizer_slots_);
  for (const Tensor& tensor : tensors_) {
    Flat w = x.Slice(tensor.offset, tensor.size);
    optimizer_.StepTensor(lr(),
                          {.offset = tensor.offset,
                           .decay = tensor.is_weight ? rules_.weight_decay : 0,
                           .is_weight = tensor.is_weight},
                          gradient.Slice(tensor.offset, tensor.size), w,
                          optimizer_slots_);
  }
}

void Replica::Save(Writer& writer) const {
  for (int64_t count : {step, samples, pending, pending_samples}) {
    writer.Int(count);
  }
  writer.Double(double{lr_factor_});
  writer.Floats(x);
  writer.Floats(*center_);
  slots_.Save(writer);
  optimizer_slots_.Save(writer);
}

absl::Status Replica::Load(Reader& reader) {
  for (int64_t* count : {&step, &samples, &pending, &pending_samples}) {
    RETURN_IF_ERROR(reader.Int(*count));
  }
  double factor = 1;
  RETURN_IF_ERROR(reader.Double(factor));
  lr_factor_ = static_cast<float>(factor);
  RETURN_IF_ERROR(reader.Floats(x));
  center_ = std::make_shared<Flat>();
  RETURN_IF_ERROR(reader.Floats(*center_, memory_));
  RETURN_IF_ERROR(slots_.Load(reader));
  return optimizer_slots_.Load(reader);
}

}  // namespace monsoon
