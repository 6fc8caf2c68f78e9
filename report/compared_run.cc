// SPDX-License-Identifier: Apache-2.0
#include "report/compared_run.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace monsoon {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
constexpr double kMega = 1e6;

// What may differ between two runs that are compared, and explain why they
// differ. The seed is what repeats differ by; the last line is simulated jobs'.
constexpr const char* kSettings[] = {
    "trainer",       "model",         "data",    "batch_size", "workers",
    "servers",       "wire",          "epochs",  "transport",  "device",
    "server_device", "optimizer",     "lr",      "precision",  "overlap",
    "max_lead",      "max_staleness", "compute", "network",    "server_rate",
    "stragglers",    "crash",         "restart", "gradients"};

absl::Status Wrong(const char* key, const Json& found, const char* expected) {
  return absl::DataLossError(absl::StrCat("found ", found.dump(), " for \"",
                                          key, "\", expected ", expected));
}

absl::Status Lacks(const char* key, const char* expected) {
  return absl::DataLossError(
      absl::StrCat("found no \"", key, "\", expected ", expected));
}

// `fallback`: what a summary without the key means; null where it must be.
absl::Status ReadText(const Json& object, const char* key, const char* fallback,
                      ComparedRun& run, std::string& value) {
  const auto found = object.find(key);
  if (found == object.end()) {
    if (fallback == nullptr) return Lacks(key, "a text");
    run.missing.emplace_back(key);
    value = fallback;
    return absl::OkStatus();
  }
  if (!found->is_string()) return Wrong(key, *found, "a text");
  value = found->get<std::string>();
  return absl::OkStatus();
}

// `fallback` as above, 0 where the key must be.
absl::Status ReadCount(const Json& object, const char* key, int fallback,
                       ComparedRun& run, int& value) {
  const auto found = object.find(key);
  if (found == object.end()) {
    if (fallback == 0) return Lacks(key, "a whole number");
    run.missing.emplace_back(key);
    value = fallback;
    return absl::OkStatus();
  }
  const bool is_count =
      found->is_number_unsigned() &&
      found->get<uint64_t>() <= std::numeric_limits<int>::max();
  if (!is_count) return Wrong(key, *found, "a whole number");
  value = found->get<int>();
  return absl::OkStatus();
}

absl::Status ReadCell(const Json& object, ComparedRun& run) {
  BenchCell& cell = run.cell;
  RETURN_IF_ERROR(ReadText(object, "trainer", nullptr, run, cell.trainer));
  RETURN_IF_ERROR(ReadText(object, "model", nullptr, run, cell.model));
  RETURN_IF_ERROR(ReadCount(object, "batch_size", 0, run, cell.batch_size));
  RETURN_IF_ERROR(ReadCount(object, "workers", 0, run, cell.workers));
  RETURN_IF_ERROR(ReadText(object, "data", "fashion-mnist", run, cell.data));
  RETURN_IF_ERROR(ReadCount(object, "servers", 1, run, cell.servers));
  return ReadText(object, "wire", "fp32", run, cell.wire);
}

absl::Status ReadValues(const Json& object, ComparedRun& run) {
  for (const ComparedField& field : ComparedFields()) {
    const auto found = object.find(field.name);
    run.values.push_back(kNone);
    if (found == object.end()) {
      run.missing.push_back(field.name);
    } else if (found->is_number()) {
      run.values.back() = found->get<double>();
    } else if (!found->is_null()) {
      return Wrong(field.name.c_str(), *found, "a number or null");
    }
  }
  return absl::OkStatus();
}

void ReadWindow(const Json& hyper, ComparedRun& run) {
  const auto window = hyper.find("window");
  const bool is_count =
      window != hyper.end() && window->is_number_unsigned() &&
      window->get<uint64_t>() <= std::numeric_limits<int>::max();
  if (is_count) run.cell.window = window->get<int>();
}

void ReadSettings(const Json& object, ComparedRun& run) {
  for (const char* key : kSettings) {
    const auto found = object.find(key);
    if (found != object.end()) run.settings[key] = found->dump();
  }
  const auto hyper = object.find("hyper");
  if (hyper == object.end() || !hyper->is_object()) return;
  ReadWindow(*hyper, run);
  for (const auto& [key, value] : hyper->items()) {
    run.settings[absl::StrCat("hyper.", key)] = value.dump();
  }
}

std::string Counted(int count, const char* what) {
  return absl::StrCat(count, " ", what, count == 1 ? "" : "s");
}

}  // namespace

const std::vector<ComparedField>& ComparedFields() {
  using Field = ComparedField;
  static const std::vector<Field> kFields = {
      {.name = "elapsed_s", .unit = "s"},
      {.name = "samples_per_s", .digits = 0, .better = Field::kHigher},
      {.name = "test_acc",
       .digits = 4,
       .better = Field::kHigher,
       .is_relative = false},
      {.name = "time_to", .unit = "s"},
      {.name = "test_loss", .digits = 4, .is_relative = false},
      {.name = "train_loss", .digits = 4, .is_relative = false},
      {.name = "startup_s", .unit = "s"},
      {.name = "peak_rss_bytes", .unit = "MB", .scale = kMega, .digits = 1},
      {.name = "bytes_up", .unit = "MB", .scale = kMega, .digits = 1},
      {.name = "bytes_down", .unit = "MB", .scale = kMega, .digits = 1},
      {.name = "staleness_mean",
       .better = Field::kNeither,
       .is_relative = false},
      {.name = "staleness_p95",
       .digits = 0,
       .better = Field::kNeither,
       .is_relative = false}};
  return kFields;
}

int FindComparedField(absl::string_view name) {
  const std::vector<ComparedField>& fields = ComparedFields();
  const auto found = std::find_if(
      fields.begin(), fields.end(),
      [name](const ComparedField& field) { return field.name == name; });
  return found == fields.end() ? -1 : static_cast<int>(found - fields.begin());
}

std::vector<std::string> ComparedFieldNames() {
  std::vector<std::string> names;
  for (const ComparedField& field : ComparedFields()) {
    names.push_back(field.name);
  }
  return names;
}

std::string DescribeCell(const BenchCell& cell) {
  return absl::StrCat(
      cell.model, " on ", cell.data, ", ", cell.trainer, ", batch ",
      cell.batch_size, ", ", Counted(cell.workers, "worker"), ", ",
      Counted(cell.servers, "server"), cell.wire == "fp32" ? "" : ", wire ",
      cell.wire == "fp32" ? "" : cell.wire, cell.window == 0 ? "" : ", window ",
      cell.window == 0 ? "" : absl::StrCat(cell.window));
}

absl::StatusOr<ComparedRun> ParseComparedRun(absl::string_view line) {
  // The last argument: a text that is no JSON gives a discarded value, and
  // nothing is thrown.
  const Json object = Json::parse(line.begin(), line.end(), nullptr, false);
  if (!object.is_object()) {
    return absl::DataLossError(absl::StrCat(
        "found \"", line.substr(0, 60), line.size() > 60 ? "...\"" : "\"",
        ", expected a summary as one JSON object"));
  }
  ComparedRun run;
  RETURN_IF_ERROR(ReadCell(object, run));
  RETURN_IF_ERROR(ReadText(object, "status", nullptr, run, run.status));
  RETURN_IF_ERROR(ReadValues(object, run));
  const auto seed = object.find("seed");
  if (seed != object.end()) run.seed = seed->dump();
  ReadSettings(object, run);
  return run;
}

}  // namespace monsoon
