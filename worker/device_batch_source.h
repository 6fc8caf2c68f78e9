// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/device_queue.h"
#include "base/flat.h"
#include "data/dataset.h"
#include "data/loader.h"
#include "models/kernels/gather.h"
#include "models/model.h"
#include "worker/training_loop.h"

namespace monsoon {

// Batches of a loader through a model on a device. The data set is copied there
// where it takes at most half of the free memory, and batches are gathered by
// the device; else the processor gathers the next ones while the device
// computes. Steps are enqueued up to kAhead ahead of the device, and their
// losses come when it has got there, those of an epoch with its last batch. One
// thread.
class DeviceBatchSource final : public GradientSource {
 public:
  // Steps that may be under way.
  static constexpr int kAhead = 8;

  // All outlive the source; the model computes on `queue`, and was built for
  // the loader's batch size and tail. It is warmed up.
  static absl::StatusOr<std::unique_ptr<DeviceBatchSource>> Make(
      const Dataset& dataset, Loader& loader, Model& model, DeviceQueue& queue,
      uint64_t first_draw);

  // Waits for the steps that are under way: they read its memory.
  ~DeviceBatchSource() override { queue_.Wait().IgnoreError(); }

  int Next() override;
  Losses Gradient(Flat& x, const GradientSink& sink) override;
  Losses Rest() override;
  void CatchUp() override { queue_.Wait().IgnoreError(); }  // status() has it
  absl::Status status() const override { return queue_.status(); }

  bool is_resident() const { return !images_.empty(); }

 private:
  // A step that is under way, and what it reads and writes in page-locked
  // memory.
  struct Slot {
    int count = 0;  // examples; 0: none is under way
    uint64_t mark = 0;
    Flat rows;    // int64_t, of a resident set
    Flat input;   // else the examples, of the model's type
    Flat labels;  // int32_t
    Flat score;   // a Score
  };

  DeviceBatchSource(const Dataset& dataset, Loader& loader, Model& model,
                    DeviceQueue& queue, uint64_t first_draw)
      : dataset_(dataset),
        loader_(loader),
        model_(model),
        queue_(queue),
        first_draw_(first_draw) {}

  absl::Status PlaceDataset();
  void MakeSlots();
  // The processor gathers a batch.
  void GatherTo(Slot& slot, absl::Span<const int64_t> rows);
  // The batch comes to the device, or what it is gathered by.
  void Send(const Slot& slot);
  // The device gathers the batch of the rows that came, from a resident set.
  void GatherThere(int count);
  // The losses of a slot that has passed, which is free then.
  Losses Take(Slot& slot);

  const Dataset& dataset_;
  Loader& loader_;
  Model& model_;
  DeviceQueue& queue_;
  const uint64_t first_draw_;
  // On the device, of a set that is there: bytes, and the rows of a batch.
  Flat images_, labels_, rows_;
  // Of a set that is not: what Gather writes, where the model takes bfloat16.
  Flat floats_;
  std::map<int, std::unique_ptr<GatherKernel>> gathers_;  // by count
  std::array<Slot, kAhead> slots_;
  uint64_t step_ = 0;  // whose slot is step_ % kAhead
  int64_t epoch_ = 0;  // of the batch at hand
};

}  // namespace monsoon
