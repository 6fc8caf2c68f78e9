// SPDX-License-Identifier: Apache-2.0
#include "worker/options.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/spelling.h"
#include "base/status_macros.h"
#include "data/dataset.h"
#include "models/model.h"
#include "models/precision.h"
#include "trainers/optimizer.h"
#include "trainers/trainer.h"
#include "trainers/wire.h"
#include "worker/compute_device.h"
#include "worker/option_fields.h"

namespace monsoon {
namespace {

std::string BeforeColon(const std::string& text) {
  return text.substr(0, text.find(':'));
}

absl::Status CheckName(absl::string_view flag, absl::string_view kind,
                       const std::string& name,
                       const std::vector<std::string>& accepted) {
  if (std::find(accepted.begin(), accepted.end(), name) != accepted.end()) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("--", flag, ": ", UnknownName(kind, name, accepted)));
}

absl::Status CheckNames(const Options& options) {
  RETURN_IF_ERROR(
      CheckName("model", "model", BeforeColon(options.model), ModelNames()));
  RETURN_IF_ERROR(
      CheckName("data", "data set", BeforeColon(options.data), DatasetNames()));
  RETURN_IF_ERROR(
      CheckName("optimizer", "optimizer", options.optimizer, OptimizerNames()));
  RETURN_IF_ERROR(CheckDevice("device", options.device));
  RETURN_IF_ERROR(CheckDeviceName("server-device", options.server_device));
  RETURN_IF_ERROR(CheckName("lr-schedule", "schedule", options.lr_schedule,
                            {"constant", "step", "cosine"}));
  RETURN_IF_ERROR(CheckName("precision", "precision", options.precision,
                            {"fp32", "bf16", "tf32"}));
  return CheckName("transport", "transport", options.transport,
                   {"auto", "inproc", "shm", "grpc"});
}

absl::Status CheckNumbers(const Options& options) {
  for (const OptionField& field : OptionFields()) {
    const absl::Status status = field.Check(options);
    if (status.ok()) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("--", field.name, ": ", status.message()));
  }
  return absl::OkStatus();
}

// What a schedule needs to mean something.
absl::Status CheckSchedule(const Options& options) {
  const bool steps = options.lr_schedule == "step";
  if (steps && options.lr_step_epochs == 0) {
    return absl::InvalidArgumentError(
        "--lr-step-epochs: found \"0\", expected a number above 0 with "
        "--lr-schedule step");
  }
  if (!steps && options.lr_step_epochs > 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--lr-step-epochs ", options.lr_step_epochs, ": found --lr-schedule ",
        options.lr_schedule, ", expected --lr-schedule step"));
  }
  if (options.warmup > options.epochs) {
    return absl::InvalidArgumentError(
        absl::StrCat("--warmup: found \"", options.warmup,
                     "\", expected a number, at least 0, at most --epochs ",
                     options.epochs));
  }
  return absl::OkStatus();
}

Schedule::Shape ShapeOf(const std::string& name) {
  if (name == "step") return Schedule::Shape::kStep;
  if (name == "cosine") return Schedule::Shape::kCosine;
  return Schedule::Shape::kConstant;
}

// Of the processor: a GPU's queue has every precision.
absl::Status CheckPresent(const Options& options) {
  if (options.device != "cpu") return absl::OkStatus();
  const absl::Status precision =
      CheckPrecision(PrecisionOf(options.precision), Device());
  if (precision.ok()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("--", precision.message()));
}

absl::Status CheckWorkers(const Options& options, const Traits& traits) {
  if (options.workers >= traits.min_workers &&
      options.workers <= traits.max_workers) {
    return absl::OkStatus();
  }
  std::string accepted = absl::StrCat(traits.min_workers, " or more workers");
  if (traits.max_workers == 1) accepted = "one worker";
  const int use = options.workers < traits.min_workers ? traits.min_workers
                                                       : traits.max_workers;
  return absl::InvalidArgumentError(
      absl::StrCat("trainer ", options.trainer, " runs with ", accepted,
                   ", found --workers ", options.workers, "; use --workers ",
                   use, " or another trainer"));
}

absl::Status ResolveWire(const Traits& traits, Options& options) {
  const absl::StatusOr<WireNames> names = ParseWire(options.wire);
  absl::Status status = names.status();
  if (names.ok()) status = MakeWire(*names, options.trainer, traits).status();
  if (!status.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--wire ", options.wire, ": ", status.message()));
  }
  options.wire = names->text();
  return absl::OkStatus();
}

absl::Status CheckOverlap(const Options& options, const Traits& traits) {
  if (!options.overlap) return absl::OkStatus();
  std::string found;
  if (traits.synchronous) {
    found = "waits for the others at each exchange";
  } else if (traits.replies == Payload::kNone) {
    found = "exchanges nothing while it trains";
  } else if (traits.replies != Payload::kCenter) {
    found = absl::StrCat("is answered with the ", PayloadName(traits.replies),
                         " of this very exchange");
  } else if (traits.keeps_seen) {
    found = "corrects by the center that was handed out last";
  }
  if (found.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "--overlap: trainer ", options.trainer, " ", found,
      ", expected one that is answered with the center and waits for nobody "
      "(see monsoon trainers); leave --overlap out"));
}

absl::Status CheckStaleness(const Options& options, const Traits& traits) {
  const bool exchanges =
      traits.pushes != Payload::kNone && traits.replies != Payload::kNone;
  std::string refusal;
  if (!exchanges) {
    refusal = "exchanges nothing while it trains";
  } else if (traits.synchronous) {
    refusal = "waits for all workers at each exchange anyway";
  } else if (traits.replies == Payload::kElastic) {
    refusal = "answers a push with what follows from it, at once";
  }
  if (options.max_lead >= 0 && !refusal.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--max-lead ", options.max_lead, ": trainer ", options.trainer, " ",
        refusal, ", expected one that is answered with the center and waits ",
        "for nobody; leave --max-lead out"));
  }
  if (options.max_staleness >= 0 && traits.replies != Payload::kCenter) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--max-staleness ", options.max_staleness, ": trainer ",
        options.trainer,
        traits.replies == Payload::kElastic
            ? " computes each update from the center that it meets, so that "
              "none is stale"
            : " exchanges nothing while it trains",
        ", expected one that pushes gradients or deltas; leave "
        "--max-staleness out"));
  }
  return absl::OkStatus();
}

absl::Status CheckOneMemory(Options& options, const Traits& traits) {
  if (!traits.maps_center) return absl::OkStatus();
  if (options.device != "cpu" && options.given.contains("device")) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--device ", options.device, ": the workers of trainer ",
        options.trainer, " share the processor's memory, expected cpu"));
  }
  options.device = "cpu";
  if (options.transport == "grpc" || options.transport == "shm") {
    return absl::InvalidArgumentError(absl::StrCat(
        "--transport ", options.transport, ": trainer ", options.trainer,
        " works in the memory of the center itself, expected inproc; use "
        "monsoon train without --transport"));
  }
  if (options.servers != 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--servers ", options.servers, ": trainer ", options.trainer,
        " works in the memory of the center itself, expected 1"));
  }
  return absl::OkStatus();
}

constexpr absl::string_view kExpectedOneProcess =
    "expected --transport inproc, as a GPU's memory is handed over within a "
    "process alone";

// Why the servers' memory cannot be a GPU's; OK: it can.
absl::Status CheckServersOnGpu(const Options& options, const Traits& traits) {
  const auto refuse = [&](const std::string& found_and_expected) {
    return absl::InvalidArgumentError(
        absl::StrCat("--server-device ", options.server_device, ": found ",
                     found_and_expected, ", or --server-device cpu"));
  };
  if (options.transport != "auto" && options.transport != "inproc") {
    return refuse(absl::StrCat("--transport ", options.transport, ", ",
                               kExpectedOneProcess));
  }
  if (traits.maps_center) {
    return refuse(absl::StrCat("--trainer ", options.trainer,
                               ", which works in the memory of the center "
                               "itself, expected another; use one"));
  }
  if (options.wire != "fp32") {
    return refuse(absl::StrCat(
        "--wire ", options.wire,
        ", expected --wire fp32, as no value travels between processes; leave "
        "--wire out"));
  }
  return absl::OkStatus();
}

// Where --transport is not chosen yet, "auto" means the processor.
absl::Status ResolveServerDevice(const Traits& traits, Options& options) {
  std::string& device = options.server_device;
  const absl::Status possible = CheckServersOnGpu(options, traits);
  if (device == "auto") {
    const bool is_here = options.transport == "inproc";
    device = is_here && possible.ok() ? ResolveDevice(device) : "cpu";
  }
  if (device == "cpu") return absl::OkStatus();
  RETURN_IF_ERROR(possible);
  return CheckDevice("server-device", device);
}

// The shared fields hold everything but where the files of the data lie.
std::string SharedValue(const OptionField& field, const Options& options) {
  const std::string value = field.Get(options);
  return field.name == "data" ? BeforeColon(value) : value;
}

}  // namespace

absl::Status ResolveOptions(Options& options) {
  RETURN_IF_ERROR(
      CheckName("trainer", "trainer", options.trainer, TrainerNames()));
  ASSIGN_OR_RETURN(const TrainerEntry* entry, FindTrainer(options.trainer));
  if (!options.given.contains("optimizer") && options.optimizer.empty()) {
    options.optimizer = entry->optimizer;
  }
  if (!options.given.contains("lr") && options.lr == 0) {
    options.lr = AsWritten(entry->lr);
  }
  RETURN_IF_ERROR(CheckNames(options));
  RETURN_IF_ERROR(CheckNumbers(options));
  RETURN_IF_ERROR(CheckSchedule(options));
  options.device = ResolveDevice(options.device);
  RETURN_IF_ERROR(CheckPresent(options));

  ASSIGN_OR_RETURN(MadeTrainer made, TrainerOf(options));
  const Traits traits = made.trainer->traits();
  if (!options.given.contains("workers") && traits.max_workers == 1) {
    options.workers = 1;
  }
  RETURN_IF_ERROR(ResolveWire(traits, options));
  RETURN_IF_ERROR(CheckOverlap(options, traits));
  RETURN_IF_ERROR(CheckStaleness(options, traits));
  RETURN_IF_ERROR(CheckOneMemory(options, traits));
  RETURN_IF_ERROR(ResolveServerDevice(traits, options));
  ASSIGN_OR_RETURN(
      const auto optimizer,
      MakeOptimizer(options.optimizer, static_cast<float>(options.lr)));
  RETURN_IF_ERROR(CheckOptimizer(options.trainer, traits, *optimizer));
  return CheckWorkers(options, traits);
}

absl::Status CheckSeparateProcesses(const Options& options) {
  ASSIGN_OR_RETURN(const MadeTrainer made, TrainerOf(options));
  if (!made.trainer->traits().maps_center) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "--trainer ", options.trainer, ": its workers share the memory of the ",
      "center, found processes of their own, expected one process; use ",
      "monsoon train"));
}

absl::Status CheckServersElsewhere(const Options& options) {
  RETURN_IF_ERROR(CheckDeviceName("server-device", options.server_device));
  if (options.server_device == "cpu" || options.server_device == "auto") {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("--server-device ", options.server_device,
                   ": found servers that are not in the workers' process, ",
                   kExpectedOneProcess,
                   "; use monsoon train, or leave --server-device out"));
}

std::vector<std::string> WarningsOf(const Options& options) {
  const absl::StatusOr<MadeTrainer> made = TrainerOf(options);
  std::vector<std::string> warnings;
  if (!made.ok()) return warnings;
  for (const std::string& warning : made->warnings) {
    warnings.push_back(
        absl::StrCat("trainer ", options.trainer, ": ", warning));
  }
  return warnings;
}

absl::StatusOr<MadeTrainer> TrainerOf(const Options& options) {
  return MakeTrainer(options.trainer, options.set,
                     {.workers = options.workers,
                      .seed = options.seed,
                      .lr = static_cast<float>(options.lr),
                      .optimizer = options.optimizer});
}

LocalRules LocalRulesOf(const Options& options, int64_t epoch_samples) {
  return {.weight_decay = static_cast<float>(options.weight_decay),
          .clip_norm = static_cast<float>(options.clip_norm),
          .schedule = {.shape = ShapeOf(options.lr_schedule),
                       .epochs = static_cast<double>(options.epochs),
                       .warmup = options.warmup,
                       .first = 1.0 / options.workers,
                       .step_epochs = options.lr_step_epochs,
                       .decay = options.lr_decay},
          .epoch_samples = static_cast<double>(epoch_samples),
          .workers = options.workers};
}

absl::Status CheckDataSize(const Options& options, int64_t samples) {
  if (options.workers > samples) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--workers ", options.workers, ": ", options.data, " has ", samples,
        " training samples; use at most one worker a sample"));
  }
  const int64_t smallest = samples / options.workers;
  if (options.batch_size > smallest) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--batch-size ", options.batch_size, ": the smallest part of ",
        options.data, " (", samples, " training samples over ", options.workers,
        " workers) has ", smallest, "; use at most that, or fewer workers"));
  }
  return absl::OkStatus();
}

void SettingsToSpec(const Options& options, pb::JobSpec& spec) {
  for (const OptionField& field : OptionFields()) {
    if (field.use != OptionField::kFileAndJob) continue;
    (*spec.mutable_settings())[field.key()] = SharedValue(field, options);
  }
  const WireNames wire = *ParseWire(options.wire);
  spec.set_push_code(wire.push);
  spec.set_reply_code(wire.reply);
  if (options.max_staleness >= 0) {
    spec.set_max_staleness(options.max_staleness);
  }
}

absl::Status SettingsFromSpec(const pb::JobSpec& spec, Options& options) {
  for (const OptionField& field : OptionFields()) {
    if (field.use != OptionField::kFileAndJob) continue;
    const auto it = spec.settings().find(field.key());
    if (options.given.contains(field.name) || it == spec.settings().end()) {
      continue;
    }
    const absl::Status status = field.Set(it->second, options);
    if (status.ok()) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "the job's setting ", field.key(), ": ", status.message()));
  }
  if (!options.given.contains("trainer")) options.trainer = spec.trainer();
  if (!options.given.contains("workers")) options.workers = spec.workers();
  if (!options.given.contains("wire")) {
    options.wire = absl::StrCat(PushCode(spec), ",", ReplyCode(spec));
  }
  if (!options.given.contains("max-staleness") && spec.has_max_staleness()) {
    options.max_staleness =
        static_cast<int>(std::min<int64_t>(spec.max_staleness(), 1 << 30));
  }
  // Another trainer has other keys: there the servers say what differs.
  if (options.trainer == spec.trainer()) {
    options.set.insert(spec.hyper().begin(), spec.hyper().end());
  }
  return absl::OkStatus();
}

}  // namespace monsoon
