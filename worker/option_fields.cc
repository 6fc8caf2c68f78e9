// SPDX-License-Identifier: Apache-2.0
#include "worker/option_fields.h"

#include <charconv>
#include <cmath>
#include <type_traits>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "base/check.h"
#include "data/dataset.h"
#include "models/model.h"
#include "trainers/optimizer.h"
#include "trainers/trainer.h"

namespace monsoon {
namespace {

// Of what becomes a float.
constexpr double kLargest = std::numeric_limits<float>::max();

template <typename Value>
std::string Shortest(Value value) {
  char text[64];
  const auto end = std::to_chars(text, text + sizeof(text), value).ptr;
  return std::string(text, end);
}

bool Parse(absl::string_view text, std::string& value) {
  value = std::string(text);
  return true;
}
bool Parse(absl::string_view text, bool& value) {
  value = text == "true";
  return value || text == "false";
}
bool Parse(absl::string_view text, double& value) {
  return absl::SimpleAtod(text, &value) && std::isfinite(value);
}
bool Parse(absl::string_view text, absl::Duration& value) {
  double seconds = 0;
  if (!Parse(text, seconds)) return false;
  value = absl::Seconds(seconds);
  return true;
}
template <typename Integer>
bool Parse(absl::string_view text, Integer& value) {
  return absl::SimpleAtoi(text, &value);
}

template <typename Value>
double Number(Value value) {
  return static_cast<double>(value);
}
double Number(absl::Duration value) { return absl::ToDoubleSeconds(value); }

std::string Text(const std::string& value) { return value; }
std::string Text(bool value) { return value ? "true" : "false"; }
std::string Text(absl::Duration value) {
  return Shortest(absl::ToDoubleSeconds(value));
}
template <typename Value>
std::string Text(Value value) {
  return Shortest(value);
}

template <typename Value>
constexpr bool kIsText = std::is_same_v<Value, std::string>;

std::string Accepted(const OptionField& field) {
  if (field.is_flag()) return "true or false";
  const bool whole =
      !std::holds_alternative<double Options::*>(field.member) &&
      !std::holds_alternative<absl::Duration Options::*>(field.member);
  std::string accepted = whole ? "a whole number" : "a number";
  if (std::isfinite(field.min)) {
    absl::StrAppend(&accepted, field.min_open ? " above " : ", at least ",
                    Shortest(field.min));
  }
  if (std::isfinite(field.max)) {
    absl::StrAppend(&accepted, field.max_open ? ", below " : ", at most ",
                    Shortest(field.max));
  }
  return accepted;
}

absl::Status Bad(const OptionField& field, absl::string_view found) {
  return absl::InvalidArgumentError(
      absl::StrCat("found \"", found, "\", expected ", Accepted(field)));
}

std::string Listed(absl::string_view what, const std::vector<std::string>& of) {
  return absl::StrCat(what, absl::StrJoin(of, ", "));
}

using Use = OptionField::Use;

// Three parts of one table, in the order of --help.
std::vector<OptionField> JobFields() {
  return {
      {"model", "NAME",
       absl::StrCat(Listed("", ModelNames()),
                    "; mlp:500,500 for other hidden sizes"),
       &Options::model, Use::kFileAndJob},
      {"data", "NAME[:DIR]",
       Listed("data set, and the folder of its files: ", DatasetNames()),
       &Options::data, Use::kFileAndJob},
      {"trainer", "NAME", Listed("", TrainerNames()), &Options::trainer},
      {"workers", "N", "workers that share each epoch", &Options::workers,
       Use::kFile, 1, 65536},
      {"servers", "S", "servers that share the parameters", &Options::servers,
       Use::kFile, 1, 4096},
      {"batch-size", "B", "samples of one gradient of one worker",
       &Options::batch_size, Use::kFileAndJob, 1, 1 << 24},
      {"epochs", "E", "passes over the data by all workers together",
       &Options::epochs, Use::kFileAndJob, 1, 1 << 24},
      {"optimizer", "NAME", Listed("of the workers: ", OptimizerNames()),
       &Options::optimizer, Use::kFileAndJob},
  };
}

std::vector<OptionField> LearningFields() {
  return {
      {"lr", "X", "learning rate of the workers", &Options::lr,
       Use::kFileAndJob, 0, kLargest, true},
      {"lr-schedule", "NAME",
       "of the learning rate: constant, step (cut by --lr-decay every "
       "--lr-step-epochs) or cosine (to 0)",
       &Options::lr_schedule, Use::kFileAndJob},
      {"warmup", "E",
       "epochs in which the rate grows from lr / workers to lr, before the "
       "schedule",
       &Options::warmup, Use::kFileAndJob, 0, 1 << 24},
      {"lr-step-epochs", "E", "epochs between the cuts of the schedule step",
       &Options::lr_step_epochs, Use::kFileAndJob, 0, 1 << 24},
      {"lr-decay", "X", "what such a cut multiplies the rate by",
       &Options::lr_decay, Use::kFileAndJob, 0, 1, true},
      {"weight-decay", "X",
       "times each weight is added to its gradient (L2); not for biases and "
       "normalization",
       &Options::weight_decay, Use::kFileAndJob, 0, kLargest},
      {"clip-norm", "X",
       "scale longer gradients down to this norm; 0 for no limit",
       &Options::clip_norm, Use::kFileAndJob, 0, kLargest},
      {"label-smoothing", "X",
       "part of each label that is spread evenly over all classes",
       &Options::label_smoothing, Use::kFileAndJob, 0, 1, false, true},
  };
}

std::vector<OptionField> RunFields() {
  return {
      {"precision", "NAME", "of the workers' arithmetic: fp32, bf16 or tf32",
       &Options::precision, Use::kFileAndJob},
      {"wire", "CODE[,CODE]",
       "how values travel: fp32, bf16, fp16, int8, onebit or topk:FRACTION; of "
       "pushes, and of replies",
       &Options::wire, Use::kFile},
      {"overlap", "",
       "each exchange runs beside the next window's steps, which begin from a "
       "center one window older",
       &Options::overlap, Use::kFileAndJob},
      {"max-lead", "N",
       "wait while this worker's exchanges are more than N ahead of the "
       "slowest living worker's; -1 never",
       &Options::max_lead, Use::kFileAndJob, -1, 1 << 30},
      {"max-staleness", "N",
       "refuse an update that is more than N rounds behind its shard; its "
       "worker goes on from the new center; -1 none",
       &Options::max_staleness, Use::kFile, -1, 1 << 30},
      {"eval-every", "SAMPLES",
       "evaluate what the run has come to whenever it has done so many more, "
       "after it and outside the clock; copies for 1 GiB at most; 0 never",
       &Options::eval_every, Use::kFile, 0, std::numeric_limits<int>::max()},
      {"time-to", "ACCURACY",
       "report when the test accuracy first reaches this, as in 0.85; 0 for "
       "none",
       &Options::time_to, Use::kFile, 0, 1},
      {"seed", "K", "of initial weights and shuffles", &Options::seed,
       Use::kFileAndJob, 0, 9007199254740992.0},  // exact in every JSON reader
      {"device", "NAME", "auto, cpu, cuda or cuda:N", &Options::device},
      {"server-device", "NAME",
       "where the servers keep the parameters, as --device; a GPU's memory "
       "with "
       "--transport inproc alone",
       &Options::server_device},
      {"transport", "NAME", "auto, inproc, shm or grpc", &Options::transport},
      {"out", "DIR", "run folder; else made under runs/", &Options::out,
       Use::kCommandLine},
      {"threads", "N", "compute threads of each worker", &Options::threads,
       Use::kFile, 1, 1024},
      {"connect-timeout", "SECONDS", "how long servers and workers are awaited",
       &Options::connect_timeout, Use::kFile, 0, 86400, true},
  };
}

}  // namespace

std::string OptionField::key() const {
  return absl::StrReplaceAll(name, {{"-", "_"}});
}

bool OptionField::is_text() const {
  return std::holds_alternative<std::string Options::*>(member);
}

bool OptionField::is_flag() const {
  return std::holds_alternative<bool Options::*>(member);
}

absl::Status OptionField::Set(absl::string_view text, Options& options) const {
  const bool parsed = std::visit(
      [&](auto place) { return Parse(text, options.*place); }, member);
  if (!parsed) return Bad(*this, text);
  return Check(options);
}

std::string OptionField::Get(const Options& options) const {
  return std::visit([&](auto place) { return Text(options.*place); }, member);
}

absl::Status OptionField::Check(const Options& options) const {
  const bool inside = std::visit(
      [&](auto place) {
        const auto& value = options.*place;
        if constexpr (kIsText<std::decay_t<decltype(value)>>) {
          return true;
        } else {
          const double number = Number(value);
          return (min_open ? number > min : number >= min) &&
                 (max_open ? number < max : number <= max);
        }
      },
      member);
  return inside ? absl::OkStatus() : Bad(*this, Get(options));
}

const std::vector<OptionField>& OptionFields() {
  static const std::vector<OptionField> kFields = [] {
    std::vector<OptionField> all = JobFields();
    for (const auto& more : {LearningFields(), RunFields()}) {
      all.insert(all.end(), more.begin(), more.end());
    }
    return all;
  }();
  return kFields;
}

const OptionField* FindOptionField(absl::string_view name) {
  for (const OptionField& field : OptionFields()) {
    if (field.name == name || field.key() == name) return &field;
  }
  return nullptr;
}

std::string ShortestDecimal(double value) { return Shortest(value); }

double AsWritten(float value) {
  double written = value;
  MONSOON_CHECK(absl::SimpleAtod(Shortest(value), &written),
                "a float prints as a number");
  return written;
}

}  // namespace monsoon
