// SPDX-License-Identifier: Apache-2.0
#include "watch/panel.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "watch/display_text.h"
#include "watch/panel_tables.h"
#include "watch/progress_lines.h"
#include "watch/text_table.h"

namespace monsoon {
namespace {

// Narrower terminals have the one live line.
constexpr int kLeastColumns = 30;
constexpr int kSparkColumns = 60;  // at most

std::string Percent(double part, double whole) {
  return whole > 0 ? Decimal(100 * part / whole, 1) + "%" : "-";
}

// Draws one panel.
class Panel {
 public:
  Panel(const JobView& view, const PanelLook& look)
      : view_(view), look_(look), width_(look.columns - 1) {}

  std::vector<PanelLine> Lines() const;

 private:
  Block Draw(Detail servers, Detail workers) const;
  InkedLine Head() const;
  InkedLine Loss() const;
  std::string Spark(int columns) const;
  InkedLine Bar() const;
  std::string Shown(const std::string& text) const {
    return Printable(text, look_.utf8);
  }
  // The text of an inked line, cut to the width.
  PanelLine Finish(const InkedLine& line) const;

  const JobView& view_;
  const PanelLook& look_;
  const int width_;  // the last column stays free: some terminals wrap there
};

InkedLine Panel::Head() const {
  const ProgressSample& now = view_.progress;
  const auto setting = view_.spec.settings().find("model");
  struct Part {
    std::string text;
    int dispensable;
  };
  std::vector<Part> parts = {{Shown(now.trainer), 3}};
  if (setting != view_.spec.settings().end()) {
    parts.push_back({Shown(setting->second), 4});
  }
  parts.push_back({absl::StrCat("epoch ", now.epoch, "/", now.epochs), 1});
  parts.push_back({Percent(static_cast<double>(now.samples),
                           static_cast<double>(now.total)),
                   0});
  parts.push_back({"elapsed " + Duration(now.elapsed_s), 5});
  parts.push_back({"eta " + Duration(now.eta_s), 2});
  const auto text = [&parts] {
    return absl::StrJoin(parts, "  ", [](std::string* out, const Part& part) {
      out->append(part.text);
    });
  };
  while (ColumnsOf(text()) > width_ && parts.size() > 1) {
    parts.erase(std::max_element(parts.begin(), parts.end(),
                                 [](const Part& a, const Part& b) {
                                   return a.dispensable < b.dispensable;
                                 }));
  }
  return {{text()}};
}

std::string Panel::Spark(int columns) const {
  const auto& losses = view_.losses;
  if (losses.empty() || columns < 1) return "";
  constexpr std::array<const char*, 8> kBlocks = {"▁", "▂", "▃", "▄",
                                                  "▅", "▆", "▇", "█"};
  constexpr std::array<const char*, 8> kAscii = {"_", ".", ":", "-",
                                                 "=", "+", "*", "#"};
  // The mean of what falls into each column.
  const auto cells = static_cast<size_t>(columns);
  std::vector<double> sums(cells), counts(cells);
  const auto first = static_cast<double>(losses.front().first);
  const double span =
      std::max(1.0, static_cast<double>(losses.back().first) - first);
  for (const auto& [samples, loss] : losses) {
    if (!std::isfinite(loss)) continue;
    const double at =
        (static_cast<double>(samples) - first) / span * (columns - 1);
    const size_t cell = std::min(cells - 1, static_cast<size_t>(at));
    sums[cell] += loss;
    counts[cell] += 1;
  }
  double least = std::numeric_limits<double>::infinity(), most = -least;
  for (size_t i = 0; i < cells; ++i) {
    if (counts[i] == 0) continue;
    sums[i] /= counts[i];
    least = std::min(least, sums[i]);
    most = std::max(most, sums[i]);
  }
  std::string spark;
  size_t level = 0;  // of the last that is known
  for (size_t i = 0; i < cells; ++i) {
    if (counts[i] > 0 && most > least) {
      level = static_cast<size_t>(
          std::min(7.0, std::floor((sums[i] - least) / (most - least) * 8)));
    }
    spark += look_.utf8 ? kBlocks[level] : kAscii[level];
  }
  return spark;
}

InkedLine Panel::Loss() const {
  const ProgressSample& now = view_.progress;
  const std::string loss = "loss " + Decimal(now.loss, 4);
  double rate = 0;
  for (const WorkerView& worker : view_.workers) {
    if (std::isfinite(worker.samples_per_s)) rate += worker.samples_per_s;
  }
  const auto count = static_cast<double>(view_.workers.size());
  std::string speed = Grouped(rate) + " samples/s";
  const std::string each = absl::StrCat(
      "  (", Grouped(count > 0 ? rate / count : 0), " per worker)");
  if (ColumnsOf(loss + speed + each) + 2 + 10 <= width_) speed += each;
  const int room = width_ - ColumnsOf(loss) - ColumnsOf(speed) - 4;
  const std::string spark = Spark(std::min(room, kSparkColumns));
  if (spark.empty()) return {{loss + "  " + speed}};
  return {{loss + "  " + spark + "  " + speed}};
}

InkedLine Panel::Bar() const {
  const ProgressSample& now = view_.progress;
  const double whole = static_cast<double>(now.total);
  const double share =
      whole > 0 ? std::clamp(static_cast<double>(now.samples) / whole, 0.0, 1.0)
                : 0;
  const std::string percent = Percent(share, 1);
  const int room = std::max(1, width_ - 10);  // "[", "]", "  ", "100.0%"
  const int full = static_cast<int>(share * room);
  return {
      {"["},
      {std::string(static_cast<size_t>(full), '#'), Ink::kGood},
      {std::string(static_cast<size_t>(room - full), '-') + "]  " + percent}};
}

PanelLine Panel::Finish(const InkedLine& line) const {
  constexpr std::array<const char*, 5> kCodes = {"", "\x1b[2m", "\x1b[32m",
                                                 "\x1b[33m", "\x1b[31m"};
  PanelLine finished;
  for (const InkedText& piece : line) {
    const std::string text = Cut(piece.text, width_ - finished.columns);
    if (text.empty()) continue;
    finished.columns += ColumnsOf(text);
    const bool is_inked = look_.colour && piece.ink != Ink::kPlain;
    absl::StrAppend(&finished.text,
                    is_inked ? kCodes[static_cast<size_t>(piece.ink)] : "",
                    text, is_inked ? "\x1b[0m" : "");
  }
  return finished;
}

Block Panel::Draw(Detail servers, Detail workers) const {
  Block block = {Head(), Loss()};
  for (Block part : {ServersTable(view_, servers, look_.utf8, width_),
                     WorkersTable(view_, workers, look_.utf8, width_)}) {
    for (InkedLine& line : part) block.push_back(std::move(line));
  }
  block.push_back(Bar());
  if (!look_.footer.empty()) block.push_back({{Shown(look_.footer)}});
  return block;
}

std::vector<PanelLine> Panel::Lines() const {
  constexpr std::pair<Detail, Detail> kDetails[] = {
      {Detail::kRows, Detail::kRows},    {Detail::kSummary, Detail::kRows},
      {Detail::kNone, Detail::kRows},    {Detail::kSummary, Detail::kSummary},
      {Detail::kNone, Detail::kSummary}, {Detail::kNone, Detail::kNone},
  };
  if (width_ < 1 || look_.rows < 2) return {};
  if (look_.columns >= kLeastColumns) {
    for (const auto& [servers, workers] : kDetails) {
      const Block block = Draw(servers, workers);
      if (static_cast<int>(block.size()) >= look_.rows) continue;
      std::vector<PanelLine> lines;
      for (const InkedLine& line : block) lines.push_back(Finish(line));
      return lines;
    }
  }
  ProgressSample sample = view_.progress;
  sample.trainer = Shown(sample.trainer);
  return {Finish({{LiveLine(sample, look_.columns)}})};
}

}  // namespace

std::vector<PanelLine> PanelOf(const JobView& view, const PanelLook& look) {
  return Panel(view, look).Lines();
}

}  // namespace monsoon
