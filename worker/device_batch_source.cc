// SPDX-License-Identifier: Apache-2.0
#include "worker/device_batch_source.h"

#include <algorithm>
#include <cstring>

#include "base/status_macros.h"
#include "models/score.h"

namespace monsoon {
namespace {

// Memory for `bytes` bytes, as floats.
Flat Bytes(int64_t bytes, MemoryResource& memory) {
  constexpr auto kFloat = static_cast<int64_t>(sizeof(float));
  return Flat((bytes + kFloat - 1) / kFloat, memory);
}

const uint8_t* AsUint8(const Flat& memory) {
  return reinterpret_cast<const uint8_t*>(memory.data());
}

}  // namespace

absl::StatusOr<std::unique_ptr<DeviceBatchSource>> DeviceBatchSource::Make(
    const Dataset& dataset, Loader& loader, Model& model, DeviceQueue& queue,
    uint64_t first_draw) {
  auto source = std::unique_ptr<DeviceBatchSource>(
      new DeviceBatchSource(dataset, loader, model, queue, first_draw));
  RETURN_IF_ERROR(source->PlaceDataset());
  source->MakeSlots();
  // Of any rows: those of a resident set are zeros now.
  model.WarmUp([&source](int count) { source->GatherThere(count); });
  RETURN_IF_ERROR(queue.Wait());
  return source;
}

absl::Status DeviceBatchSource::PlaceDataset() {
  const auto images = static_cast<int64_t>(dataset_.images.size());
  const auto labels = static_cast<int64_t>(dataset_.labels.size());
  if (images + labels > queue_.FreeBytes() / 2) return absl::OkStatus();
  images_ = Bytes(images, queue_);
  labels_ = Bytes(labels, queue_);
  rows_ = Bytes(loader_.batch_size() * int64_t{sizeof(int64_t)}, queue_);
  queue_.Copy(images_.data(), dataset_.images.data(), dataset_.images.size());
  queue_.Copy(labels_.data(), dataset_.labels.data(), dataset_.labels.size());
  for (const int64_t count : {loader_.batch_size(), loader_.tail()}) {
    if (count == 0 || gathers_.contains(static_cast<int>(count))) continue;
    ASSIGN_OR_RETURN(gathers_[static_cast<int>(count)],
                     MakeKernel<GatherKernel>(
                         {&queue_}, {.batch = count,
                                     .example_size = dataset_.example_size(),
                                     .type = model_.input_type()}));
  }
  return absl::OkStatus();
}

void DeviceBatchSource::MakeSlots() {
  const int64_t batch = loader_.batch_size();
  MemoryResource& pinned = queue_.pinned();
  if (!is_resident() && model_.input_type() == DataType::kBf16) {
    floats_ = Flat(batch * dataset_.example_size());
  }
  for (Slot& slot : slots_) {
    slot.score = Bytes(sizeof(Score), pinned);
    if (is_resident()) {
      slot.rows = Bytes(batch * int64_t{sizeof(int64_t)}, pinned);
    } else {
      slot.input =
          Bytes(batch * dataset_.example_size() * BytesOf(model_.input_type()),
                pinned);
      slot.labels = Bytes(batch * int64_t{sizeof(int32_t)}, pinned);
    }
  }
}

int DeviceBatchSource::Next() {
  Slot& slot = slots_[step_ % kAhead];
  epoch_ = loader_.epoch();
  const absl::Span<const int64_t> rows = loader_.NextRows();
  slot.count = static_cast<int>(rows.size());
  if (rows.empty()) return 0;
  if (is_resident()) {
    std::memcpy(slot.rows.data(), rows.data(), rows.size() * sizeof(int64_t));
  } else {
    GatherTo(slot, rows);
  }
  return slot.count;
}

void DeviceBatchSource::GatherTo(Slot& slot, absl::Span<const int64_t> rows) {
  auto* const labels = reinterpret_cast<int32_t*>(slot.labels.data());
  if (model_.input_type() == DataType::kFloat32) {
    Gather(dataset_, rows, slot.input.data(), labels);
    return;
  }
  Gather(dataset_, rows, floats_.data(), labels);
  const int64_t size = slot.count * dataset_.example_size();
  auto* const rounded = reinterpret_cast<Bf16*>(slot.input.data());
  for (int64_t i = 0; i < size; ++i) rounded[i] = Bf16(floats_[i]);
}

void DeviceBatchSource::Send(const Slot& slot) {
  const auto count = static_cast<size_t>(slot.count);
  if (is_resident()) {
    queue_.Copy(rows_.data(), slot.rows.data(), count * sizeof(int64_t));
    return;
  }
  const auto example = static_cast<size_t>(dataset_.example_size());
  const auto number = static_cast<size_t>(BytesOf(model_.input_type()));
  queue_.Copy(model_.examples(), slot.input.data(), count * example * number);
  queue_.Copy(model_.labels(), slot.labels.data(), count * sizeof(int32_t));
}

void DeviceBatchSource::GatherThere(int count) {
  if (!is_resident()) return;
  gathers_.at(count)->Run(AsUint8(images_), AsUint8(labels_),
                          reinterpret_cast<const int64_t*>(rows_.data()),
                          model_.examples(), model_.labels());
}

Losses DeviceBatchSource::Gradient(Flat& x, const GradientSink& sink) {
  Slot& slot = slots_[step_ % kAhead];
  Send(slot);
  const uint64_t draw = first_draw_ + static_cast<uint64_t>(loader_.samples());
  model_.EnqueueStep(
      slot.count, x, sink, draw, [&] { GatherThere(slot.count); },
      reinterpret_cast<Score*>(slot.score.data()));
  slot.mark = queue_.Mark();
  ++step_;
  if (loader_.epoch() != epoch_) {
    loader_.PrepareRows();  // while the device computes
    return Rest();
  }
  // The slot of the next step, and whatever is done besides, oldest first.
  Losses losses;
  for (int i = 0; i < kAhead; ++i) {
    Slot& older = slots_[(step_ + static_cast<uint64_t>(i)) % kAhead];
    if (older.count == 0) continue;
    if (i == 0) {
      queue_.WaitFor(older.mark).IgnoreError();  // it keeps its status
    } else if (!queue_.Passed(older.mark)) {
      break;
    }
    const Losses known = Take(older);
    losses.sum += known.sum;
    losses.samples += known.samples;
  }
  return losses;
}

Losses DeviceBatchSource::Take(Slot& slot) {
  const auto* const score = reinterpret_cast<const Score*>(slot.score.data());
  const Losses losses{
      score->loss_sum / static_cast<double>(model_.labels_per_example()),
      slot.count};
  slot.count = 0;
  return losses;
}

Losses DeviceBatchSource::Rest() {
  Losses losses;
  queue_.Wait().IgnoreError();  // it keeps its status
  for (Slot& slot : slots_) {
    if (slot.count == 0) continue;
    const Losses known = Take(slot);
    losses.sum += known.sum;
    losses.samples += known.samples;
  }
  return losses;
}

}  // namespace monsoon
