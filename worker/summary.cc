// SPDX-License-Identifier: Apache-2.0
#include "worker/summary.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace monsoon {
namespace {

using Json = nlohmann::ordered_json;

// The numbers of all workers together.
struct Totals {
  pb::WorkerReport sum;
  double startup_s = 0;
};

Totals Add(const pb::JobStatus& status) {
  Totals totals;
  pb::WorkerReport& sum = totals.sum;
  for (const pb::Member& member : status.members()) {
    const pb::WorkerReport& report = member.report();
    sum.set_samples(sum.samples() + report.samples());
    sum.set_samples_refused(sum.samples_refused() + report.samples_refused());
    sum.set_steps(sum.steps() + report.steps());
    sum.set_pushes(sum.pushes() + report.pushes());
    sum.set_pulls(sum.pulls() + report.pulls());
    sum.set_bytes_up(sum.bytes_up() + report.bytes_up());
    sum.set_bytes_down(sum.bytes_down() + report.bytes_down());
    sum.set_loss_sum(sum.loss_sum() + report.loss_sum());
    sum.set_loss_samples(sum.loss_samples() + report.loss_samples());
    for (const auto& [staleness, pushes] : report.staleness()) {
      (*sum.mutable_staleness())[staleness] += pushes;
    }
    totals.startup_s = std::max(totals.startup_s, report.startup_s());
  }
  return totals;
}

// Of all processes that took part; several workers and servers may share one.
int64_t PeakMemory(const SummaryInputs& inputs) {
  std::map<std::pair<std::string, int64_t>, int64_t> processes;
  const auto add = [&processes](const auto& from) {
    int64_t& peak = processes[{from.host(), from.pid()}];
    peak = std::max(peak, int64_t{from.peak_rss_bytes()});
  };
  add(inputs.outcome.status);
  for (const pb::JobStatus& server : inputs.servers) add(server);
  for (const pb::Member& member : inputs.outcome.status.members()) {
    add(member.report());
  }
  int64_t total = 0;
  for (const auto& [process, peak] : processes) total += peak;
  return total;
}

Json Finite(double value) {
  return std::isfinite(value) ? Json(value) : Json(nullptr);
}

struct Staleness {
  Json mean = nullptr;
  Json p95 = nullptr;
};

// Over the pushes of all workers to all shards: the mean, and the smallest
// staleness that 95 of 100 pushes do not exceed.
Staleness StalenessOf(const pb::WorkerReport& sum, bool pushes) {
  if (!pushes) return {};
  const std::map<int64_t, int64_t> histogram(sum.staleness().begin(),
                                             sum.staleness().end());
  int64_t count = 0;
  double weighted = 0;
  for (const auto& [staleness, times] : histogram) {
    count += times;
    weighted += static_cast<double>(staleness) * static_cast<double>(times);
  }
  if (count == 0) return {0.0, 0};
  int64_t below = 0;
  for (const auto& [staleness, times] : histogram) {
    below += times;
    if (below * 100 >= count * 95) {
      return {weighted / static_cast<double>(count), staleness};
    }
  }
  return {};
}

// {"0": 120, "1": 15}: staleness -> pushes that had it, in its order.
template <typename Counts>
Json Histogram(const Counts& counts) {
  Json json = Json::object();
  for (const auto& [staleness, pushes] :
       std::map<int64_t, int64_t>(counts.begin(), counts.end())) {
    json[absl::StrCat(staleness)] = pushes;
  }
  return json;
}

// By rank of the worker and by index of the shard; null where nobody pushes.
Json Histograms(const SummaryInputs& inputs, bool pushes) {
  if (!pushes) return nullptr;
  Json json;
  json["workers"] = Json::object();
  for (const pb::Member& member : inputs.outcome.status.members()) {
    json["workers"][absl::StrCat(member.worker())] =
        Histogram(member.report().staleness());
  }
  std::map<int, Json> shards;
  const auto add = [&shards](const pb::JobStatus& server) {
    for (const auto& [shard, histogram] : server.shard_staleness()) {
      shards[shard] = Histogram(histogram.counts());
    }
  };
  add(inputs.outcome.status);
  for (const pb::JobStatus& server : inputs.servers) add(server);
  json["shards"] = Json::object();
  for (const auto& [shard, histogram] : shards) {
    json["shards"][absl::StrCat(shard)] = histogram;
  }
  return json;
}

Json Typed(const std::string& type, const std::string& value) {
  int64_t count = 0;
  double number = 0;
  if (type == "count" && absl::SimpleAtoi(value, &count)) return count;
  if (type == "number" && absl::SimpleAtod(value, &number)) {
    return Finite(number);
  }
  if (type == "flag") return value == "true";
  return value;
}

Json HyperOf(const absl::StatusOr<MadeTrainer>& made) {
  Json hyper = Json::object();
  if (!made.ok()) return hyper;
  for (const Hyperparameters::Declared& declared : made->hyper) {
    hyper[declared.key] = Typed(declared.type, declared.value);
  }
  return hyper;
}

// A bound, null where there is none.
Json OrNull(int bound) { return bound < 0 ? Json(nullptr) : Json(bound); }

std::string Fixed(const Json& value, int digits) {
  return value.is_number()
             ? absl::StrFormat("%.*f", digits, value.get<double>())
             : "unknown";
}

// "1 worker", "2 workers"
std::string Counted(const Json& count, absl::string_view what) {
  return absl::StrCat(count.dump(), " ", what, count == 1 ? "" : "s");
}

// "60,000"
std::string Grouped(int64_t value) {
  std::string text = absl::StrCat(value);
  for (int64_t at = static_cast<int64_t>(text.size()) - 3; at > 0; at -= 3) {
    text.insert(static_cast<size_t>(at), ",");
  }
  return text;
}

// What a person chose, first.
void AddChoices(const Options& options, const absl::StatusOr<MadeTrainer>& made,
                Json& json) {
  json["trainer"] = options.trainer;
  json["model"] = options.model;
  json["data"] = options.data.substr(0, options.data.find(':'));
  json["batch_size"] = options.batch_size;
  json["workers"] = options.workers;
  json["servers"] = options.servers;
  json["epochs"] = options.epochs;
  json["seed"] = options.seed;
  json["transport"] = options.transport;
  json["device"] = options.device;
  json["server_device"] = options.server_device;
  json["optimizer"] = options.optimizer;
  json["lr"] = Finite(options.lr);
  json["hyper"] = HyperOf(made);
  json["precision"] = options.precision;
  json["wire"] = options.wire;
  json["overlap"] = options.overlap;
  json["max_lead"] = OrNull(options.max_lead);
  json["max_staleness"] = OrNull(options.max_staleness);
}

}  // namespace

RunState StateOf(const pb::JobStatus& status) {
  switch (status.stop_state()) {
    case pb::DIVERGED:
      return RunState::kDiverged;
    case pb::INTERRUPTED:
      return RunState::kInterrupted;
    case pb::FAILED:
      return RunState::kFailed;
    default:
      break;
  }
  for (const pb::Member& member : status.members()) {
    if (member.report().state() != pb::DONE) return RunState::kFailed;
  }
  return RunState::kDone;
}

std::string StateName(RunState state) {
  switch (state) {
    case RunState::kFailed:
      return "failed";
    case RunState::kDiverged:
      return "diverged";
    case RunState::kInterrupted:
      return "interrupted";
    case RunState::kDone:
      return "done";
  }
  return "failed";
}

Json Summarize(const SummaryInputs& inputs) {
  const Options& options = inputs.outcome.options;
  const pb::JobStatus& status = inputs.outcome.status;
  const Totals totals = Add(status);
  const pb::WorkerReport& sum = totals.sum;
  const auto made = TrainerOf(options);
  const bool pushes =
      made.ok() && made->trainer->traits().pushes != Payload::kNone;
  const Staleness staleness = StalenessOf(sum, pushes);
  const double samples = static_cast<double>(sum.samples());

  Json json;
  AddChoices(options, made, json);
  json["samples"] = sum.samples();
  json["samples_refused"] = sum.samples_refused();
  json["elapsed_s"] = Finite(status.elapsed_s());
  json["samples_per_s"] = Finite(samples / status.elapsed_s());
  json["startup_s"] = Finite(totals.startup_s);
  json["peak_rss_bytes"] = PeakMemory(inputs);
  json["steps"] = sum.steps();
  json["pushes"] = sum.pushes();
  json["pulls"] = sum.pulls();
  json["bytes_up"] = sum.bytes_up();
  json["bytes_down"] = sum.bytes_down();
  json["staleness_mean"] = staleness.mean;
  json["staleness_p95"] = staleness.p95;
  json["staleness"] = Histograms(inputs, pushes);
  json["train_loss"] =
      Finite(sum.loss_sum() / static_cast<double>(sum.loss_samples()));
  json["test_loss"] = inputs.test ? Finite(inputs.test->loss) : Json(nullptr);
  json["test_acc"] =
      inputs.test ? Finite(inputs.test->accuracy) : Json(nullptr);
  const auto time_to = options.time_to > 0
                           ? TimeTo(inputs.curve, options.time_to)
                           : std::nullopt;
  json["time_to"] = time_to.has_value() ? Json(*time_to) : Json(nullptr);
  json["status"] = StateName(inputs.state);
  json["curve"] = Json::array();
  for (const CurvePoint& point : inputs.curve) {
    json["curve"].push_back({point.elapsed_s, point.samples, point.accuracy});
  }
  return json;
}

std::string DescribeSummary(const Json& s) {
  const std::string staleness =
      s["staleness_mean"].is_null()
          ? "no pushes"
          : absl::StrCat("staleness ", Fixed(s["staleness_mean"], 2),
                         " (95 of 100 pushes at most ",
                         s["staleness_p95"].dump(), ")");
  std::string memory;  // of a simulation: none
  if (s["peak_rss_bytes"].is_number()) {
    memory =
        absl::StrCat(", peak memory ",
                     s["peak_rss_bytes"].get<int64_t>() / 1'000'000, " MB");
  }
  std::string text = absl::StrCat(
      s["trainer"].get<std::string>(), " ", s["status"].get<std::string>(),
      ": ", s["model"].get<std::string>(), " on ", s["data"].get<std::string>(),
      ", batch ", s["batch_size"].dump(), ", ", Counted(s["workers"], "worker"),
      ", ", Counted(s["servers"], "server"), ". ",
      Grouped(s["samples"].get<int64_t>()), " samples in ",
      Fixed(s["elapsed_s"], 2), " s (", Fixed(s["samples_per_s"], 0),
      " samples/s), first step after ", Fixed(s["startup_s"], 2), " s, ",
      staleness, memory, ". Train loss ", Fixed(s["train_loss"], 4),
      ", test loss ", Fixed(s["test_loss"], 4), ", test accuracy ",
      Fixed(s["test_acc"], 4), ".");
  for (const Json& point : s["curve"]) {
    absl::StrAppendFormat(&text, "\n%10.3f s %10d samples  accuracy %.4f",
                          point[0].get<double>(), point[1].get<int64_t>(),
                          point[2].get<double>());
  }
  if (!s["time_to"].is_null()) {
    absl::StrAppend(&text, "\nThe accuracy that was asked for: after ",
                    Fixed(s["time_to"], 3), " s.");
  }
  return text;
}

}  // namespace monsoon
