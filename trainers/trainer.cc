// SPDX-License-Identifier: Apache-2.0
#include "trainers/trainer.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/spelling.h"
#include "base/status_macros.h"
#include "trainers/elements.h"

namespace monsoon {

absl::Status Link::Map(Flat&) {
  return absl::UnimplementedError(
      "the center is in several pieces or in another process; use --transport "
      "inproc (monsoon train) and --servers 1");
}

absl::Status Trainer::Start(Replica& r, Link& link) const {
  RETURN_IF_ERROR(link.Pull(r.x));
  r.KeepCenter(r.x);
  return absl::OkStatus();
}

void Trainer::Apply(const Update& update, Shard& shard) const {
  ForEach(AddUpdate{}, shard.center, update.value);
}

absl::Status CheckOptimizer(absl::string_view trainer, const Traits& traits,
                            const Optimizer& optimizer) {
  if (traits.local_step == LocalStep::kPlain && !optimizer.is_plain_sgd()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "trainer ", trainer,
        " as it is set takes plain local steps (x <- x - lr*g), ",
        "but the local optimizer is not sgd: use --optimizer sgd, ",
        "another trainer, or a key of it, where it has one, that ",
        "lets the workers step as they like (form=delta)"));
  }
  if (traits.local_step == LocalStep::kNone && optimizer.takes_tensors()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "trainer ", trainer, " takes no local steps, and its rule on the ",
        "servers sees no whole tensors: expected --optimizer ",
        absl::StrJoin(ServerOptimizerNames(), ", ")));
  }
  return absl::OkStatus();
}

absl::StatusOr<const TrainerEntry*> FindTrainer(const std::string& name) {
  const TrainerEntry* entry = Registry<TrainerEntry>::Get().Find(name);
  if (entry == nullptr) {
    return absl::InvalidArgumentError(
        UnknownName("trainer", name, TrainerNames()));
  }
  return entry;
}

absl::StatusOr<MadeTrainer> MakeTrainer(
    const std::string& name, const std::map<std::string, std::string>& set,
    const JobFacts& facts) {
  ASSIGN_OR_RETURN(const TrainerEntry* entry, FindTrainer(name));
  Hyperparameters hyper(set, facts);
  MadeTrainer made;
  made.trainer = entry->make(hyper);
  RETURN_IF_ERROR(hyper.Check(absl::StrCat("trainer ", name)));
  made.warnings = hyper.warnings();
  made.hyper = hyper.declared();
  made.resolved = hyper.resolved();
  return made;
}

std::vector<std::string> TrainerNames() {
  return Registry<TrainerEntry>::Get().names();
}

std::string DefaultTrainer() { return "adag"; }

std::string PayloadName(Payload payload) {
  switch (payload) {
    case Payload::kNone:
      return "nothing";
    case Payload::kGradient:
      return "gradient";
    case Payload::kDelta:
      return "delta";
    case Payload::kParameters:
      return "parameters";
    case Payload::kCenter:
      return "center";
    case Payload::kElastic:
      return "elastic difference";
  }
  return "unknown";
}

}  // namespace monsoon
