// SPDX-License-Identifier: Apache-2.0
#include "report/run_columns.h"

#include <cmath>

#include "report/number_text.h"

namespace monsoon {
namespace {

using Json = nlohmann::ordered_json;

Json Finite(double value) {
  return std::isfinite(value) ? Json(value) : Json();
}

// Counts are written without a fraction.
Json Whole(double value) {
  return std::isfinite(value) ? Json(static_cast<int64_t>(value)) : Json();
}

Json Counted(int64_t count) { return count == 0 ? Json() : Json(count); }

Json TextOrNull(const std::string& text) {
  return text.empty() ? Json() : Json(text);
}

std::string TwoDigits(double value) { return SecondsText(value); }

}  // namespace

const std::vector<RunColumn>& RunColumns() {
  using Run = const RunSummary&;
  static const auto* const kColumns = new std::vector<RunColumn>{
      {"model", "model", [](Run r) { return Json(r.model); }},
      {"data", "data", [](Run r) { return TextOrNull(r.data); }},
      {"trainer", "trainer", [](Run r) { return Json(r.trainer); }},
      {"batch_size", "batch", [](Run r) { return Json(r.batch_size); }},
      {"workers", "workers", [](Run r) { return Counted(r.workers); }},
      {"servers", "servers", [](Run r) { return Counted(r.servers); }},
      {"window", "window",
       [](Run r) { return TextOrNull(r.Setting("hyper.window")); }},
      {"epochs", "epochs", [](Run r) { return Counted(r.epochs); }},
      {"seed", "seed", [](Run r) { return Json(r.seed); }},
      {"wire", "wire", [](Run r) { return TextOrNull(r.Setting("wire")); }},
      {"transport", "transport", [](Run r) { return TextOrNull(r.transport); }},
      {"status", "status", [](Run r) { return Json(r.status); }},
      {"disturbed", "disturbed",
       [](Run r) { return r.disturbed ? Json("yes") : Json(); }},
      {"elapsed_s", "elapsed s", [](Run r) { return Finite(r.elapsed_s); },
       TwoDigits},
      {"test_acc", "test accuracy", [](Run r) { return Finite(r.test_acc); },
       AccuracyText},
      {"test_loss", "test loss", [](Run r) { return Finite(r.test_loss); },
       LossText},
      {"train_loss", "train loss", [](Run r) { return Finite(r.train_loss); },
       LossText},
      {"samples", "samples", [](Run r) { return Whole(r.samples); },
       GroupedText},
      {"samples_per_s", "samples / s",
       [](Run r) { return Finite(r.samples_per_s); }, GroupedText},
      {"staleness_mean", "staleness",
       [](Run r) { return Finite(r.staleness_mean); }, TwoDigits},
      {"staleness_p95", "of 95 %", [](Run r) { return Whole(r.staleness_p95); },
       GroupedText},
      {"bytes_up", "MB pushed", [](Run r) { return Whole(r.bytes_up); },
       MegabytesText},
      {"bytes_down", "MB pulled", [](Run r) { return Whole(r.bytes_down); },
       MegabytesText},
      {"peak_rss_bytes", "peak MB",
       [](Run r) { return Whole(r.peak_rss_bytes); }, MegabytesText},
      {"startup_s", "startup s", [](Run r) { return Finite(r.startup_s); },
       TwoDigits},
      {"other_load", "others' cores",
       [](Run r) { return Finite(r.other_load); }, TwoDigits, false},
      {"steal", "stolen", [](Run r) { return Finite(r.steal); }, nullptr,
       false},
      {"folder", "folder", [](Run r) { return Json(r.folder); }},
      {"name", "in it", [](Run r) { return TextOrNull(r.name); }, nullptr,
       false},
      {"command", "repeat it", [](Run r) { return TextOrNull(r.command); }},
  };
  return *kColumns;
}

std::string CellText(const RunColumn& column, const RunSummary& run) {
  const Json value = column.value(run);
  if (value.is_null()) return "-";
  if (value.is_string()) return value.get<std::string>();
  if (column.text != nullptr) return column.text(value.get<double>());
  return value.dump();
}

Table RunSheet(absl::Span<const RunSummary> runs) {
  Table sheet;
  for (const RunColumn& column : RunColumns()) {
    sheet.columns.emplace_back(column.key);
  }
  for (const RunSummary& run : runs) {
    std::vector<std::string> texts;
    for (const RunColumn& column : RunColumns()) {
      const Json value = column.value(run);
      texts.push_back(value.is_null()     ? ""
                      : value.is_string() ? value.get<std::string>()
                                          : value.dump());
    }
    sheet.rows.push_back(std::move(texts));
  }
  return sheet;
}

}  // namespace monsoon
