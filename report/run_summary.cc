// SPDX-License-Identifier: Apache-2.0
#include "report/run_summary.h"

#include <nlohmann/json.hpp>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace monsoon {
namespace {

using Json = nlohmann::ordered_json;

// What is compared beside trainer, model, data, batch size and epochs. Of a
// simulation, the cluster too.
constexpr const char* kSettings[] = {
    "workers",       "servers", "wire",          "precision",
    "optimizer",     "lr",      "overlap",       "max_lead",
    "max_staleness", "device",  "server_device", "transport",
    "compute",       "network", "server_rate",   "stragglers",
    "crash",         "restart", "gradients"};

std::string TextOf(const Json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

// Reads fields of one object and notes those that it lacks.
class Reader {
 public:
  Reader(const Json& object, std::vector<std::string>& missing)
      : object_(object), missing_(missing) {}

  void Text(const char* key, std::string& value) {
    const auto found = object_.find(key);
    if (found != object_.end() && found->is_string()) {
      value = found->get<std::string>();
    } else {
      missing_.emplace_back(key);
    }
  }

  template <typename Count>
  void Whole(const char* key, Count& value) {
    const auto found = object_.find(key);
    if (found != object_.end() && found->is_number_unsigned()) {
      value = found->get<Count>();
    } else {
      missing_.emplace_back(key);
    }
  }

  // Null is a number that is not finite, or that this run has not.
  void Number(const char* key, double& value) {
    const auto found = object_.find(key);
    if (found != object_.end() && found->is_number()) {
      value = found->get<double>();
    } else if (found == object_.end() || !found->is_null()) {
      missing_.emplace_back(key);
    }
  }

 private:
  const Json& object_;
  std::vector<std::string>& missing_;
};

void ReadSettings(const Json& object, RunSummary& run) {
  for (const char* key : kSettings) {
    const auto found = object.find(key);
    if (found == object.end() || found->is_null()) continue;
    run.settings.emplace_back(key, TextOf(*found));
  }
  const auto hyper = object.find("hyper");
  if (hyper == object.end() || !hyper->is_object()) return;
  for (const auto& [key, value] : hyper->items()) {
    // Follows from the seed, which repeats do not share.
    if (key == "cohort_seed" && value == run.seed) continue;
    run.settings.emplace_back("hyper." + key, TextOf(value));
  }
}

void ReadCurve(const Json& object, RunSummary& run,
               std::vector<std::string>& missing) {
  const auto found = object.find("curve");
  if (found == object.end()) return;
  for (const Json& point : *found) {
    const bool is_point = point.is_array() && point.size() == 3 &&
                          point[0].is_number() && point[1].is_number() &&
                          point[2].is_number();
    if (!is_point) {
      missing.emplace_back("curve");
      run.curve.clear();
      return;
    }
    run.curve.push_back({point[0].get<double>(), point[1].get<double>(),
                         point[2].get<double>()});
  }
}

// The sum of the workers' histograms.
void ReadStaleness(const Json& object, RunSummary& run) {
  const auto found = object.find("staleness");
  if (found == object.end() || !found->is_object()) return;
  const auto workers = found->find("workers");
  if (workers == found->end() || !workers->is_object()) return;
  for (const auto& [rank, histogram] : workers->items()) {
    if (!histogram.is_object()) continue;
    for (const auto& [staleness, pushes] : histogram.items()) {
      int64_t value = 0;
      if (absl::SimpleAtoi(staleness, &value) && pushes.is_number_unsigned()) {
        run.staleness[value] += pushes.get<int64_t>();
      }
    }
  }
}

// What runs by hand, and benches of another version, have not.
void ReadDisturbance(const Json& object, RunSummary& run) {
  const auto number = [&object](const char* key, double& value) {
    const auto found = object.find(key);
    if (found != object.end() && found->is_number()) {
      value = found->get<double>();
    }
  };
  number("other_load", run.other_load);
  number("steal", run.steal);
  const auto found = object.find("disturbed");
  run.disturbed =
      found != object.end() && found->is_boolean() && found->get<bool>();
}

}  // namespace

std::string RunSummary::Setting(absl::string_view key) const {
  for (const auto& [chosen, value] : settings) {
    if (chosen == key) return value;
  }
  return "";
}

absl::StatusOr<RunSummary> ParseRunSummary(absl::string_view text,
                                           std::vector<std::string>& missing) {
  const Json object = Json::parse(text.begin(), text.end(), nullptr, false);
  if (!object.is_object()) {
    return absl::DataLossError(absl::StrCat(
        "found \"", text.substr(0, 60), text.size() > 60 ? "...\"" : "\"",
        ", expected the summary of a run as one JSON object"));
  }
  RunSummary run;
  Reader reader(object, missing);
  reader.Text("trainer", run.trainer);
  reader.Text("model", run.model);
  reader.Whole("batch_size", run.batch_size);
  if (!missing.empty()) {
    return absl::DataLossError(absl::StrCat(
        "found a summary without \"", missing.front(),
        "\", expected trainer, model and batch_size, by which it is shown"));
  }
  reader.Text("data", run.data);
  reader.Text("transport", run.transport);
  reader.Text("status", run.status);
  reader.Whole("workers", run.workers);
  reader.Whole("servers", run.servers);
  reader.Whole("epochs", run.epochs);
  reader.Whole("seed", run.seed);
  const std::pair<const char*, double*> numbers[] = {
      {"samples", &run.samples},
      {"elapsed_s", &run.elapsed_s},
      {"samples_per_s", &run.samples_per_s},
      {"startup_s", &run.startup_s},
      {"peak_rss_bytes", &run.peak_rss_bytes},
      {"bytes_up", &run.bytes_up},
      {"bytes_down", &run.bytes_down},
      {"staleness_mean", &run.staleness_mean},
      {"staleness_p95", &run.staleness_p95},
      {"train_loss", &run.train_loss},
      {"test_loss", &run.test_loss},
      {"test_acc", &run.test_acc}};
  for (const auto& [key, value] : numbers) reader.Number(key, *value);
  ReadSettings(object, run);
  ReadCurve(object, run, missing);
  ReadStaleness(object, run);
  ReadDisturbance(object, run);
  return run;
}

std::vector<LossPoint> ParseLosses(absl::string_view text) {
  std::vector<LossPoint> losses;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    const Json point = Json::parse(line.begin(), line.end(), nullptr, false);
    if (!point.is_object() || !point.contains("elapsed_s") ||
        !point.contains("loss") || !point["elapsed_s"].is_number() ||
        !point["loss"].is_number()) {
      continue;
    }
    losses.push_back(
        {point["elapsed_s"].get<double>(), point["loss"].get<double>()});
  }
  return losses;
}

}  // namespace monsoon
