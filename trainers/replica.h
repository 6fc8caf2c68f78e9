// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "base/flat.h"
#include "trainers/optimizer.h"
#include "trainers/slots.h"

namespace monsoon {

// A worker's copy of the parameters and everything that it knows: what a
// trainer's worker half reads and writes. One thread at a time.
class Replica {
 public:
  // `optimizer` outlives the replica.
  Replica(int worker, int64_t parameters, const Optimizer& optimizer);

  const int worker;
  Flat x;                       // [P]
  Flat gradient;                // [P], of the mean loss over the last batch
  int64_t step = 0;             // local steps so far
  int64_t pending = 0;          // local steps since the last exchange
  int64_t pending_samples = 0;  // samples of those

  // The center as last pulled, for trainers that keep it; else empty. Replicas
  // may share one: it never changes.
  const Flat& center() const;
  // Keeps a copy of `center`.
  void KeepCenter(const Flat& center);

  // State of the trainer, by name; [P] zeros at first.
  Flat& slot(const std::string& name) { return slots_.vector(name); }
  double& number(const std::string& name) { return slots_.number(name); }

  const Optimizer& optimizer() const { return optimizer_; }
  // x moves along `gradient` by the local optimizer.
  void LocalStep() { optimizer_.Step(gradient, x, optimizer_slots_); }

  void Save(Writer& writer) const;
  absl::Status Load(Reader& reader);

 private:
  const Optimizer& optimizer_;
  Slots slots_;
  Slots optimizer_slots_;
  // Shared: whoever pulled the same version may hold the same center.
  std::shared_ptr<Flat> center_;
};

}  // namespace monsoon
