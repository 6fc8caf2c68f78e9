// SPDX-License-Identifier: Apache-2.0
#include "report/bench_row.h"

#include <nlohmann/json.hpp>
#include <type_traits>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace monsoon {
namespace {

using Json = nlohmann::json;

absl::Status Wrong(const char* key, const Json& object, const char* expected) {
  const auto found = object.find(key);
  return absl::DataLossError(absl::StrCat(
      "a summary has ", found == object.end() ? "nothing" : found->dump(),
      " for \"", key, "\"; expected ", expected));
}

absl::Status Read(const Json& object, const char* key, std::string& value) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_string()) {
    return Wrong(key, object, "a text");
  }
  value = found->get<std::string>();
  return absl::OkStatus();
}

template <typename Number>
absl::Status ReadCount(const Json& object, const char* key, Number& value) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number_unsigned()) {
    return Wrong(key, object, "a whole number");
  }
  value = found->get<Number>();
  return absl::OkStatus();
}

// Null is NaN: JSON has no other way to say that a number is not finite.
absl::Status Read(const Json& object, const char* key, double& value) {
  const auto found = object.find(key);
  if (found == object.end() || !(found->is_number() || found->is_null())) {
    return Wrong(key, object, "a number or null");
  }
  value = found->is_null() ? BenchRow::kNone : found->get<double>();
  return absl::OkStatus();
}

absl::Status ReadCurve(const Json& object, BenchRow& row) {
  const auto found = object.find("curve");
  if (found == object.end()) return absl::OkStatus();  // of an older version
  for (const Json& point : *found) {
    const bool is_point = point.is_array() && point.size() == 3 &&
                          point[0].is_number() && point[2].is_number();
    if (!is_point) {
      return Wrong("curve", object, "[elapsed_s, samples, accuracy], ...");
    }
    row.curve.emplace_back(point[0].get<double>(), point[2].get<double>());
  }
  return absl::OkStatus();
}

// What the summary of another version, or of another trainer, has not.
void ReadOptional(const Json& object, BenchRow& row) {
  const auto number = [](const Json& in, const char* key, auto& value) {
    const auto found = in.find(key);
    if (found == in.end() || !found->is_number()) return;
    value = found->get<std::remove_reference_t<decltype(value)>>();
  };
  number(object, "servers", row.servers);
  number(object, "wall_s", row.wall_s);
  number(object, "other_load", row.other_load);
  number(object, "steal", row.steal);
  const auto hyper = object.find("hyper");
  if (hyper != object.end() && hyper->is_object()) {
    number(*hyper, "window", row.window);
  }
  const auto is_true = [&object](const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_boolean() && found->get<bool>();
  };
  row.disturbed = is_true("disturbed");
  row.repeated = is_true("repeated");
}

}  // namespace

absl::StatusOr<BenchRow> ParseBenchRow(absl::string_view line) {
  // The last argument: a text that is no JSON gives a discarded value, and
  // nothing is thrown.
  const Json object = Json::parse(line.begin(), line.end(), nullptr, false);
  if (!object.is_object()) {
    return absl::DataLossError(
        absl::StrCat("expected a summary as one JSON object, found \"",
                     line.substr(0, 60), line.size() > 60 ? "...\"" : "\""));
  }
  BenchRow row;
  RETURN_IF_ERROR(Read(object, "trainer", row.trainer));
  RETURN_IF_ERROR(Read(object, "model", row.model));
  RETURN_IF_ERROR(Read(object, "wire", row.wire));
  RETURN_IF_ERROR(Read(object, "status", row.status));
  RETURN_IF_ERROR(ReadCount(object, "batch_size", row.batch_size));
  RETURN_IF_ERROR(ReadCount(object, "workers", row.workers));
  RETURN_IF_ERROR(ReadCount(object, "seed", row.seed));
  RETURN_IF_ERROR(Read(object, "elapsed_s", row.elapsed_s));
  RETURN_IF_ERROR(Read(object, "samples_per_s", row.samples_per_s));
  RETURN_IF_ERROR(Read(object, "bytes_up", row.bytes_up));
  RETURN_IF_ERROR(Read(object, "bytes_down", row.bytes_down));
  RETURN_IF_ERROR(Read(object, "staleness_mean", row.staleness_mean));
  RETURN_IF_ERROR(Read(object, "staleness_p95", row.staleness_p95));
  RETURN_IF_ERROR(Read(object, "test_acc", row.test_acc));
  RETURN_IF_ERROR(ReadCurve(object, row));
  ReadOptional(object, row);
  return row;
}

}  // namespace monsoon
