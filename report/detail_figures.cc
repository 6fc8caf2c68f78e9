// SPDX-License-Identifier: Apache-2.0
//
// Staleness, and scaling over workers.
#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "report/claims.h"
#include "report/figures.h"
#include "report/number_text.h"

namespace monsoon {
namespace {

// The pushes of all runs of a variant by their staleness.
struct Histogram {
  size_t variant = 0;
  std::map<int64_t, int64_t> pushes;
  int64_t count = 0;
  double mean = 0;

  // The smallest that `percent` of 100 pushes do not exceed.
  int64_t Quantile(int64_t percent) const {
    int64_t below = 0;
    for (const auto& [staleness, times] : pushes) {
      below += times;
      if (below * 100 >= count * percent) return staleness;
    }
    return 0;
  }
};

std::vector<Histogram> Histograms(const FigureInputs& inputs) {
  std::vector<Histogram> histograms;
  for (size_t v = 0; v < inputs.group.variants.size(); ++v) {
    Histogram sum = {.variant = v};
    double weighted = 0;
    for (const RunCell& cell : inputs.group.cells) {
      if (cell.variant != v) continue;
      for (const size_t i : cell.runs) {
        for (const auto& [staleness, pushes] : inputs.runs[i].staleness) {
          sum.pushes[staleness] += pushes;
          sum.count += pushes;
          weighted +=
              static_cast<double>(staleness) * static_cast<double>(pushes);
        }
      }
    }
    if (sum.count == 0) continue;
    sum.mean = weighted / static_cast<double>(sum.count);
    histograms.push_back(std::move(sum));
  }
  return histograms;
}

std::string StalenessClaim(const FigureInputs& inputs,
                           const std::vector<Histogram>& histograms) {
  const Histogram* most = &histograms.front();
  for (const Histogram& histogram : histograms) {
    if (histogram.mean > most->mean) most = &histogram;
  }
  return absl::StrFormat(
      "The pushes of %s are%s %.2f rounds stale on average, 95 of 100 at most "
      "%d.",
      inputs.group.variants[most->variant].name,
      histograms.size() == 1 ? "" : " the stalest,", most->mean,
      most->Quantile(95));
}

// Ranges of staleness of one width, as many as a chart has room for; the last
// one takes in all above it.
struct Bins {
  int64_t width = 1;
  int64_t count = 1;
  bool open = false;  // some pushes lie above the last range

  int64_t Of(int64_t staleness) const {
    return std::min(staleness / width, count - 1);
  }
  std::string Name(int64_t bin) const {
    const int64_t first = bin * width;
    if (open && bin == count - 1) return absl::StrCat(first, " or more");
    return width == 1 ? absl::StrCat(first)
                      : absl::StrCat(first, " to ", first + width - 1);
  }
};

// So that 99 of 100 pushes of every variant lie below the last range: a few
// that were very late do not make the others one bar.
Bins BinsOf(const std::vector<Histogram>& histograms) {
  constexpr int64_t kMost = 12;
  int64_t usual = 0;
  int64_t highest = 0;
  for (const Histogram& histogram : histograms) {
    usual = std::max(usual, histogram.Quantile(95));
    highest = std::max(highest, histogram.pushes.rbegin()->first);
  }
  const int64_t width = usual / kMost + 1;
  const int64_t needed = highest / width + 1;
  const int64_t count = std::min(needed, usual / width + 2);
  return {width, count, count < needed};
}

// Runs of one trainer with one batch size that differ in their workers.
struct Family {
  std::string name;
  int64_t batch_size = 0;
  std::map<int64_t, Spread> rates;  // samples per second, by workers

  double speedup(int64_t workers) const {
    return rates.at(workers).median / rates.begin()->second.median;
  }
  // As a part of what so many more workers ought to bring.
  double efficiency(int64_t workers) const {
    return speedup(workers) * static_cast<double>(rates.begin()->first) /
           static_cast<double>(workers);
  }
};

// Those with two numbers of workers or more.
std::vector<Family> Families(const FigureInputs& inputs) {
  std::vector<Family> families;
  for (const RunCell& cell : inputs.group.cells) {
    const Variant& variant = inputs.group.variants[cell.variant];
    std::vector<double> rates;
    for (const size_t i : cell.runs) {
      const RunSummary& run = inputs.runs[i];
      if (run.done()) rates.push_back(run.samples_per_s);
    }
    const Spread spread = MeasureSpread(std::move(rates));
    if (spread.count == 0 || variant.workers == 0) continue;
    auto family = std::find_if(families.begin(), families.end(),
                               [&](const Family& other) {
                                 return other.name == variant.family &&
                                        other.batch_size == cell.batch_size;
                               });
    if (family == families.end()) {
      families.push_back({variant.family, cell.batch_size, {}});
      family = families.end() - 1;
    }
    family->rates[variant.workers] = spread;
  }
  std::erase_if(families,
                [](const Family& family) { return family.rates.size() < 2; });
  return families;
}

std::string ScalingClaim(const std::vector<Family>& families) {
  const Family* best = nullptr;
  for (const Family& family : families) {
    const int64_t most = family.rates.rbegin()->first;
    if (best == nullptr || family.efficiency(most) >
                               best->efficiency(best->rates.rbegin()->first)) {
      best = &family;
    }
  }
  const auto& [least, from] = *best->rates.begin();
  const auto& [most, to] = *best->rates.rbegin();
  return absl::StrFormat(
      "%s at batch %d makes the most of more workers: from %d to %d it goes "
      "from %s to %s samples/s, %.2f ×, an efficiency of %.0f %%.",
      best->name, best->batch_size, least, most, GroupedText(from.median),
      GroupedText(to.median), best->speedup(most),
      100 * best->efficiency(most));
}

// The marks of one family, and its rows of the table.
void AddFamily(const Family& family, Styles& styles, Figure& figure) {
  ChartSeries series = {.name = family.name,
                        .style = styles.Of(family.name),
                        .facet = absl::StrCat("batch ", family.batch_size),
                        .joined = true};
  ChartSeries guide = series;
  guide.guide = true;
  const auto& [least, from] = *family.rates.begin();
  for (const auto& [workers, rate] : family.rates) {
    const double x = static_cast<double>(workers);
    ChartPoint point = {.x = x, .y = rate.median};
    if (rate.count > 1) {
      point.low = rate.low;
      point.high = rate.high;
    }
    series.points.push_back(point);
    guide.points.push_back(
        {.x = x, .y = from.median * x / static_cast<double>(least)});
    figure.table.rows.push_back(
        {family.name, absl::StrCat(family.batch_size), absl::StrCat(workers),
         SpreadText(rate, GroupedText),
         absl::StrFormat("%.2f", family.speedup(workers)),
         absl::StrFormat("%.0f %%", 100 * family.efficiency(workers))});
  }
  figure.series.push_back(std::move(series));
  figure.series.push_back(std::move(guide));
}

}  // namespace

std::optional<Figure> StalenessFigure(const FigureInputs& inputs) {
  const std::vector<Histogram> histograms = Histograms(inputs);
  if (histograms.empty()) return std::nullopt;
  const Bins bins = BinsOf(histograms);
  Figure figure;
  figure.id = inputs.id + "-staleness";
  figure.title = "Staleness of the pushes";
  figure.claim = StalenessClaim(inputs, histograms);
  figure.note =
      "Staleness counts the rounds of a shard since the worker's last pull. "
      "All "
      "batch sizes and repeats together.";
  figure.kind = Figure::kBars;
  figure.x.label = "staleness in rounds";
  figure.y.label = "% of the pushes";
  figure.table.columns = {"staleness"};
  for (int64_t bin = 0; bin < bins.count; ++bin) {
    figure.x.categories.push_back(bins.Name(bin));
    figure.table.rows.push_back({bins.Name(bin)});
  }
  figure.table.rows.push_back({"mean"});
  for (const Histogram& histogram : histograms) {
    const std::string& name = inputs.group.variants[histogram.variant].name;
    ChartSeries series = {.name = name, .style = inputs.styles.Of(name)};
    figure.table.columns.push_back(name);
    std::vector<int64_t> counts(static_cast<size_t>(bins.count));
    for (const auto& [staleness, pushes] : histogram.pushes) {
      counts[static_cast<size_t>(bins.Of(staleness))] += pushes;
    }
    for (size_t bin = 0; bin < counts.size(); ++bin) {
      const double share = 100 * static_cast<double>(counts[bin]) /
                           static_cast<double>(histogram.count);
      series.points.push_back({.x = static_cast<double>(bin), .y = share});
      figure.table.rows[bin].push_back(absl::StrFormat("%.1f %%", share));
    }
    figure.table.rows.back().push_back(absl::StrFormat("%.2f", histogram.mean));
    figure.series.push_back(std::move(series));
  }
  return figure;
}

std::optional<Figure> ScalingFigure(const FigureInputs& inputs) {
  const std::vector<Family> families = Families(inputs);
  if (families.empty()) return std::nullopt;
  Figure figure;
  figure.id = inputs.id + "-scaling";
  figure.title = "Scaling over workers";
  figure.claim = ScalingClaim(families);
  figure.note =
      "Dashed: as many times faster as there are more workers than the fewest "
      "measured. Efficiency is what part of that is reached.";
  figure.kind = Figure::kLines;
  figure.x.label = "workers";
  figure.y.label = "samples per second";
  figure.table.columns = {"trainer",     "batch", "workers",
                          "samples / s", "times", "efficiency"};
  for (const Family& family : families) {
    AddFamily(family, inputs.styles, figure);
  }
  return figure;
}

}  // namespace monsoon
