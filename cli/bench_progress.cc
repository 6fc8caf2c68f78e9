// SPDX-License-Identifier: Apache-2.0
#include "cli/bench_progress.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "cli/disturbance.h"

namespace monsoon {
namespace {

constexpr size_t kBarWidth = 12;

// What a run cost; of a bench of another version, the part that it measured.
double SecondsOf(const BenchRow& row) {
  return std::isfinite(row.wall_s) ? row.wall_s : row.elapsed_s;
}

// The mean over the rows that are alike; NaN where there is none.
double MeanSeconds(absl::Span<const BenchRow> rows,
                   const std::function<bool(const BenchRow&)>& is_alike) {
  double sum = 0;
  int count = 0;
  for (const BenchRow& row : rows) {
    // One that has failed or diverged ended before its time.
    if (row.status != "done" || !std::isfinite(SecondsOf(row))) continue;
    if (!is_alike(row)) continue;
    sum += SecondsOf(row);
    ++count;
  }
  return count == 0 ? BenchRow::kNone : sum / count;
}

}  // namespace

double EstimateSeconds(const BenchRun& run, absl::Span<const BenchRow> rows) {
  const auto has_model = [&run](const BenchRow& row) {
    return row.model == run.options.model;
  };
  const std::function<bool(const BenchRow&)> nearest_first[] = {
      [&run](const BenchRow& row) { return IsOfCell(row, run); },
      [&](const BenchRow& row) {
        return has_model(row) && row.batch_size == run.options.batch_size;
      },
      has_model, [](const BenchRow&) { return true; }};
  for (const auto& is_alike : nearest_first) {
    const double seconds = MeanSeconds(rows, is_alike);
    if (std::isfinite(seconds)) return seconds;
  }
  return BenchRow::kNone;
}

double EstimateLeft(absl::Span<const BenchRun> runs,
                    absl::Span<const BenchRow> rows) {
  double left = 0;
  for (const BenchRun& run : runs) {
    const bool is_made = std::any_of(
        rows.begin(), rows.end(),
        [&run](const BenchRow& row) { return IsResultOf(row, run); });
    if (!is_made) left += EstimateSeconds(run, rows);
  }
  return left;
}

std::string LeftText(double seconds) {
  if (!std::isfinite(seconds)) return "";
  const absl::Duration left = absl::Seconds(seconds);
  return absl::FormatDuration(absl::Trunc(
      left, left < absl::Minutes(10) ? absl::Seconds(1) : absl::Minutes(1)));
}

std::string BarText(size_t done, size_t runs, double seconds_left) {
  done = std::min(done, runs);  // a row may have come twice
  const size_t filled = runs == 0 ? kBarWidth : kBarWidth * done / runs;
  std::string text =
      absl::StrCat("[", std::string(filled, '#'),
                   std::string(kBarWidth - filled, '-'), "] ", done, "/", runs);
  const std::string left = LeftText(seconds_left);
  if (!left.empty()) absl::StrAppend(&text, "  ", left, " left");
  return text;
}

std::string RunText(const BenchRow& row, const BenchChoices& choices) {
  std::string text = absl::StrFormat("%s %-9s b=%-4d ", row.model, row.trainer,
                                     row.batch_size);
  if (choices.workers.size() > 1)
    absl::StrAppend(&text, "w=", row.workers, " ");
  if (choices.servers.size() > 1) {
    absl::StrAppend(&text, "servers=", row.servers, " ");
  }
  if (choices.windows.size() > 1 && row.window > 0) {
    absl::StrAppend(&text, "window=", row.window, " ");
  }
  if (row.wire != "fp32") absl::StrAppend(&text, row.wire, " ");
  absl::StrAppendFormat(&text, "seed %d  %7.2f s  %6.0f samples/s  acc %.4f",
                        row.seed, row.elapsed_s, row.samples_per_s,
                        row.test_acc);
  if (row.status != "done") absl::StrAppend(&text, "  ", row.status);
  if (row.disturbed) {
    absl::StrAppend(&text, "  disturbed (",
                    DisturbanceText(row.other_load, row.steal), ")");
  }
  return text;
}

}  // namespace monsoon
