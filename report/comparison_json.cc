// SPDX-License-Identifier: Apache-2.0
#include "report/comparison_json.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/str_replace.h"

namespace monsoon {
namespace {

using Json = nlohmann::ordered_json;

Json Finite(double value) {
  return std::isfinite(value) ? Json(value) : Json(nullptr);
}

Json TextOrNull(const std::string& text) {
  return text.empty() ? Json(nullptr) : Json(text);
}

Json RunsJson(const CellRuns& runs) {
  Json json = {{"runs", runs.runs}, {"done", runs.done}};
  json["not_done"] = Json::array();
  for (const CellRuns::Ending& ending : runs.endings) {
    json["not_done"].push_back(
        {{"seed", TextOrNull(ending.seed)}, {"status", ending.status}});
  }
  return json;
}

Json ValuesJson(const std::set<std::string>& values) {
  Json json = Json::array();
  for (const std::string& value : values) {
    json.push_back(Json::parse(value, nullptr, false));
  }
  return json;
}

// "only in A" is "only_in_a".
std::string Name(Verdict verdict) {
  return absl::AsciiStrToLower(
      absl::StrReplaceAll(VerdictText(verdict), {{" ", "_"}}));
}

Json FieldJson(const FieldDifference& found) {
  const MedianDifference& medians = found.medians;
  const auto& absolute = medians.difference_interval;
  const auto& relative = medians.percent_interval;
  const auto end = [](const std::optional<Interval>& interval,
                      double Interval::*which) {
    return interval.has_value() ? Finite((*interval).*which) : Json(nullptr);
  };
  Json json;
  json["a"] = Finite(medians.a);
  json["b"] = Finite(medians.b);
  json["difference"] = Finite(medians.difference);
  json["difference_low"] = end(absolute, &Interval::low);
  json["difference_high"] = end(absolute, &Interval::high);
  json["percent"] = Finite(medians.percent);
  json["percent_low"] = end(relative, &Interval::low);
  json["percent_high"] = end(relative, &Interval::high);
  json["verdict"] = Name(found.verdict);
  return json;
}

Json ListJson(const std::vector<GateShortfall>& shortfalls) {
  Json list = Json::array();
  for (const GateShortfall& shortfall : shortfalls) {
    list.push_back(
        {{"cell", TextOrNull(shortfall.cell)}, {"found", shortfall.found}});
  }
  return list;
}

}  // namespace

Json CellsJson(absl::Span<const ComparedCell> cells) {
  Json all = Json::array();
  for (const ComparedCell& cell : cells) {
    const BenchCell& of = cell.cell;
    Json json = {{"model", of.model},
                 {"data", of.data},
                 {"trainer", of.trainer},
                 {"batch_size", of.batch_size},
                 {"workers", of.workers},
                 {"servers", of.servers},
                 {"wire", of.wire},
                 {"window", of.window == 0 ? Json() : Json(of.window)}};
    json["in"] = cell.in_both() ? "both" : cell.a.runs > 0 ? "a" : "b";
    json["a"] = RunsJson(cell.a);
    json["b"] = RunsJson(cell.b);
    json["settings"] = Json::object();
    for (const auto& [key, values] : cell.settings) {
      json["settings"][key] = {{"a", ValuesJson(values.a)},
                               {"b", ValuesJson(values.b)}};
    }
    for (size_t i = 0; i < cell.fields.size(); ++i) {
      json["fields"][ComparedFields()[i].name] = FieldJson(cell.fields[i]);
    }
    all.push_back(std::move(json));
  }
  return all;
}

Json MethodJson() {
  return {{"confidence", kConfidence},
          {"resamples", kResamples},
          {"seed", kBootstrapSeed}};
}

Json GateJson(const GateResult& gate) {
  Json json;
  json["holds"] = gate.holds();
  json["bounds"] = Json::array();
  for (const GateResult::Checked& checked : gate.checked) {
    json["bounds"].push_back({{"bound", checked.bound},
                              {"cells", checked.cells},
                              {"falls_short", ListJson(checked.shortfalls)}});
  }
  json["not_comparable"] = ListJson(gate.incomparable);
  json["only_in_a"] = gate.only_in_a;
  json["only_in_b"] = gate.only_in_b;
  return json;
}

}  // namespace monsoon
