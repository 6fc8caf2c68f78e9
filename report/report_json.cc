// SPDX-License-Identifier: Apache-2.0
#include "report/report_json.h"

#include <cmath>

#include "report/report_formats.h"
#include "report/run_columns.h"

namespace monsoon {
namespace {

using Json = nlohmann::ordered_json;

Json Finite(double value) {
  return std::isfinite(value) ? Json(value) : Json();
}

const char* KindName(Figure::Kind kind) {
  switch (kind) {
    case Figure::kBars:
      return "bars";
    case Figure::kDots:
      return "dots";
    case Figure::kLines:
      return "lines";
  }
  return "";
}

Json AxisJson(const ChartAxis& axis) {
  Json json = {{"label", axis.label}, {"from_zero", axis.from_zero}};
  if (!axis.categories.empty()) json["categories"] = axis.categories;
  return json;
}

Json SeriesJson(const ChartSeries& series) {
  Json json = {{"name", series.name},   {"style", series.style},
               {"facet", series.facet}, {"joined", series.joined},
               {"guide", series.guide}, {"points", Json::array()}};
  for (const ChartPoint& point : series.points) {
    Json mark = {{"x", Finite(point.x)}, {"y", Finite(point.y)}};
    if (std::isfinite(point.low)) {
      mark["low"] = point.low;
      mark["high"] = point.high;
    }
    if (!point.note.empty()) mark["note"] = point.note;
    json["points"].push_back(std::move(mark));
  }
  return json;
}

Json TableJson(const Table& table) {
  return {{"columns", table.columns}, {"rows", table.rows}};
}

}  // namespace

Json FigureJson(const Figure& figure) {
  Json json = {{"id", figure.id},
               {"title", figure.title},
               {"claim", figure.claim},
               {"note", figure.note},
               {"kind", KindName(figure.kind)},
               {"x", AxisJson(figure.x)},
               {"y", AxisJson(figure.y)},
               {"series", Json::array()}};
  for (const ChartSeries& series : figure.series) {
    json["series"].push_back(SeriesJson(series));
  }
  json["table"] = TableJson(figure.table);
  return json;
}

std::string DumpJson(const Json& json, int indent) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

std::string FormatReportJson(const Report& report) {
  Json json = {{"summary", report.summary},
               {"notices", report.notices},
               {"chapters", Json::array()},
               {"runs", Json::array()}};
  for (const Chapter& chapter : report.chapters) {
    Json part = {{"title", chapter.title},
                 {"claims", Json::array()},
                 {"figures", Json::array()}};
    for (const Claim& claim : chapter.claims) {
      part["claims"].push_back({{"title", claim.title},
                                {"what", claim.what},
                                {"value", claim.value},
                                {"text", claim.text}});
    }
    for (const Figure& figure : chapter.figures) {
      part["figures"].push_back(FigureJson(figure));
    }
    json["chapters"].push_back(std::move(part));
  }
  for (const RunSummary& run : report.runs) {
    Json row = Json::object();
    for (const RunColumn& column : RunColumns()) {
      row[column.key] = column.value(run);
    }
    json["runs"].push_back(std::move(row));
  }
  json["machines"] = TableJson(report.machines);
  json["rules"] = report.rules;
  return DumpJson(json, 1) + "\n";
}

}  // namespace monsoon
