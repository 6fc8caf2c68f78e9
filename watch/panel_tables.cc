// SPDX-License-Identifier: Apache-2.0
#include "watch/panel_tables.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/size_text.h"
#include "watch/display_text.h"

namespace monsoon {
namespace {

// More of them are summed up.
constexpr size_t kRows = 8;
// How many of the slowest are named then.
constexpr size_t kSlowest = 3;
// A worker is slow when the median is so many times as fast.
constexpr double kSlow = 1.25;

// The least number that at least `share` of the counted are not above.
double Quantile(const std::map<int64_t, int64_t>& counts, double share) {
  int64_t total = 0;
  for (const auto& [value, count] : counts) total += count;
  int64_t seen = 0;
  for (const auto& [value, count] : counts) {
    seen += count;
    if (static_cast<double>(seen) >= share * static_cast<double>(total)) {
      return static_cast<double>(value);
    }
  }
  return WorkerView::kNone;
}

// The middle one; of an even number, the lower of the two in the middle. NaN of
// nothing.
double Median(std::vector<double> numbers) {
  if (numbers.empty()) return WorkerView::kNone;
  std::sort(numbers.begin(), numbers.end());
  const size_t middle = numbers.size() / 2;
  return numbers.size() % 2 == 1 ? numbers[middle]
                                 : (numbers[middle - 1] + numbers[middle]) / 2;
}

bool Runs(const WorkerView& worker) {
  return worker.member.report().state() == pb::RUNNING && !worker.is_silent;
}

// What is known of a worker in one word or two.
InkedText StateOf(const WorkerView& worker, double median_rate) {
  if (worker.is_silent) {
    return {absl::StrCat("silent ", Duration(worker.member.silent_s())),
            Ink::kBad};
  }
  switch (worker.member.report().state()) {
    case pb::DONE:
      return {"done", Ink::kGood};
    case pb::DIVERGED:
      return {"diverged", Ink::kBad};
    case pb::FAILED:
      return {"failed", Ink::kBad};
    case pb::INTERRUPTED:
      return {"interrupted", Ink::kWarning};
    default:
      break;
  }
  const double rate = worker.samples_per_s;
  if (rate <= 0 && worker.member.report().samples() > 0) {
    return {"stalled", Ink::kWarning};
  }
  if (!(rate > 0 && rate * kSlow < median_rate)) return {"ok", Ink::kGood};
  return {absl::StrCat("slow (", Decimal(median_rate / rate, 1), " x)"),
          Ink::kWarning};
}

// What a column of the workers' table shows.
struct WorkerNumber {
  TextTable::Column column;
  std::function<double(const WorkerView&)> of;
  std::function<std::string(double)> show;
};

double ShareOf(const WorkerView& worker, double part) {
  const pb::WorkerReport& report = worker.member.report();
  const double all = report.data_s() + report.compute_s() + report.exchange_s();
  return all > 0 ? part / all : WorkerView::kNone;
}

std::vector<WorkerNumber> WorkerNumbers() {
  const auto share = [](double x) {
    return std::isfinite(x) ? Decimal(100 * x, 0) + "%" : "-";
  };
  return {
      {{"samples/s"},
       [](const WorkerView& w) { return w.samples_per_s; },
       Grouped},
      {{"loss", 1},
       [](const WorkerView& w) { return w.loss; },
       [](double x) { return Decimal(x, 4); }},
      {{"staleness", 2},
       [](const WorkerView& w) { return w.staleness_mean; },
       [](double x) { return Decimal(x, 2); }},
      {{"compute", 4},
       [](const WorkerView& w) {
         return ShareOf(w, w.member.report().compute_s());
       },
       share},
      {{"exchange", 3},
       [](const WorkerView& w) {
         return ShareOf(w, w.member.report().exchange_s());
       },
       share},
      {{"data", 5},
       [](const WorkerView& w) {
         return ShareOf(w, w.member.report().data_s());
       },
       share},
  };
}

// Draws the tables of one view.
class Tables {
 public:
  Tables(const JobView& view, bool utf8, int width)
      : view_(view), utf8_(utf8), width_(width) {
    std::vector<double> rates;
    for (const WorkerView& worker : view.workers) {
      hosts_.insert(worker.member.report().host());
      if (Runs(worker) && std::isfinite(worker.samples_per_s)) {
        rates.push_back(worker.samples_per_s);
      }
    }
    for (const ServerView& server : view.servers) {
      if (server.answers) hosts_.insert(server.status.host());
    }
    median_rate_ = Median(rates);
  }

  Block Servers(Detail detail) const;
  Block Workers(Detail detail) const;

 private:
  InkedLine ServerRow(const ServerView& server) const;
  InkedLine AllServers() const;
  InkedLine WorkerRow(const WorkerView& worker) const;
  std::vector<InkedLine> WorkerSummary() const;
  std::vector<const WorkerView*> Slowest() const;
  InkedText States() const;
  // Of one host alone nobody needs the name.
  void DropHost(TextTable& table) const;
  std::string Host(const std::string& name) const {
    return Printable(name, utf8_);
  }

  const JobView& view_;
  const bool utf8_;
  const int width_;
  std::set<std::string> hosts_;
  double median_rate_ = WorkerView::kNone;
};

InkedLine Tables::ServerRow(const ServerView& server) const {
  const std::string index = absl::StrCat(server.index);
  if (!server.answers) {
    return {{index}, {"-"}, {"-"}, {"-"}, {"-"}, {""}, {"gone", Ink::kBad}};
  }
  std::map<int64_t, int64_t> staleness;
  for (const auto& [shard, histogram] : server.status.shard_staleness()) {
    for (const auto& [rounds, count] : histogram.counts()) {
      staleness[rounds] += count;
    }
  }
  return {{index},
          {Grouped(server.updates_per_s)},
          {absl::StrCat(Decimal(Quantile(staleness, 0.5), 0), "/",
                        Decimal(Quantile(staleness, 0.95), 0))},
          {Decimal(server.cores, 2)},
          {SizeText(static_cast<double>(server.status.peak_rss_bytes()))},
          {Host(server.status.host())},
          {"ok", Ink::kGood}};
}

InkedLine Tables::AllServers() const {
  ServerView all;
  double updates = 0, cores = 0, bytes = 0;
  size_t gone = 0;
  std::set<std::pair<std::string, int64_t>> processes;
  for (const ServerView& server : view_.servers) {
    if (!server.answers) {
      ++gone;
      continue;
    }
    if (std::isfinite(server.updates_per_s)) updates += server.updates_per_s;
    for (const auto& [shard, histogram] : server.status.shard_staleness()) {
      // Their numbers as keys may repeat, which changes nothing here.
      auto& merged = (*all.status.mutable_shard_staleness())[0];
      for (const auto& [rounds, count] : histogram.counts()) {
        (*merged.mutable_counts())[rounds] += count;
      }
    }
    // Those of one process say the same of it.
    if (!processes.insert({server.status.host(), server.status.pid()}).second) {
      continue;
    }
    if (std::isfinite(server.cores)) cores += server.cores;
    bytes += static_cast<double>(server.status.peak_rss_bytes());
  }
  all.answers = true;
  all.updates_per_s = updates;
  all.cores = cores;
  all.status.set_peak_rss_bytes(static_cast<int64_t>(bytes));
  InkedLine row = ServerRow(all);
  row[0].text = absl::StrCat("all ", view_.servers.size());
  row[5].text.clear();
  if (gone > 0) row[6] = {absl::StrCat(gone, " gone"), Ink::kBad};
  return row;
}

Block Tables::Servers(Detail detail) const {
  if (detail == Detail::kNone || view_.servers.empty()) return {};
  TextTable table;
  table.columns = {{"server"},        {"updates/s"}, {"staleness p50/p95", 2},
                   {"cores", 1},      {"memory", 3}, {"host", 4, true},
                   {"state", 0, true}};
  if (detail == Detail::kRows && view_.servers.size() <= kRows) {
    for (const ServerView& server : view_.servers) {
      table.rows.push_back(ServerRow(server));
    }
  } else {
    table.rows.push_back(AllServers());
  }
  DropHost(table);
  return table.Lines(width_);
}

InkedLine Tables::WorkerRow(const WorkerView& worker) const {
  InkedLine row = {{absl::StrCat(worker.member.worker())}};
  for (const WorkerNumber& number : WorkerNumbers()) {
    row.push_back({number.show(number.of(worker))});
  }
  row.push_back({Host(worker.member.report().host())});
  row.push_back(StateOf(worker, median_rate_));
  return row;
}

// Those that have fallen silent, and then those with the least samples a
// second.
std::vector<const WorkerView*> Tables::Slowest() const {
  std::vector<const WorkerView*> slowest;
  for (const WorkerView& worker : view_.workers) {
    if (worker.is_silent ||
        (Runs(worker) && std::isfinite(worker.samples_per_s))) {
      slowest.push_back(&worker);
    }
  }
  std::stable_sort(slowest.begin(), slowest.end(),
                   [](const WorkerView* a, const WorkerView* b) {
                     if (a->is_silent != b->is_silent) return a->is_silent;
                     return !a->is_silent &&
                            a->samples_per_s < b->samples_per_s;
                   });
  slowest.resize(std::min(slowest.size(), kSlowest));
  return slowest;
}

// "1000 workers: 997 ok, 2 slow, 1 silent"
InkedText Tables::States() const {
  std::map<std::string, int> counts;
  Ink worst = Ink::kPlain;
  for (const WorkerView& worker : view_.workers) {
    const InkedText state = StateOf(worker, median_rate_);
    ++counts[state.text.substr(0, state.text.find(' '))];
    if (state.ink != Ink::kGood) worst = std::max(worst, state.ink);
  }
  std::vector<std::string> parts;
  for (const char* state : {"ok", "done", "slow", "stalled", "silent",
                            "interrupted", "diverged", "failed"}) {
    if (counts[state] > 0) {
      parts.push_back(absl::StrCat(counts[state], " ", state));
    }
  }
  return {absl::StrCat(view_.workers.size(),
                       " workers: ", absl::StrJoin(parts, ", ")),
          worst};
}

// The least, the median and the most of every number, over those that run.
std::vector<InkedLine> Tables::WorkerSummary() const {
  std::vector<InkedLine> rows = {{{"min"}}, {{"median"}}, {{"max"}}};
  for (const WorkerNumber& number : WorkerNumbers()) {
    std::vector<double> known;
    for (const WorkerView& worker : view_.workers) {
      const double x = number.of(worker);
      if (Runs(worker) && std::isfinite(x)) known.push_back(x);
    }
    const auto [least, most] = std::minmax_element(known.begin(), known.end());
    const bool none = known.empty();
    rows[0].push_back({number.show(none ? WorkerView::kNone : *least)});
    rows[2].push_back({number.show(none ? WorkerView::kNone : *most)});
    rows[1].push_back({number.show(Median(known))});
  }
  for (InkedLine& row : rows) row.insert(row.end(), {{""}, {""}});
  return rows;
}

void Tables::DropHost(TextTable& table) const {
  if (hosts_.size() > 1) return;
  const auto host = static_cast<std::ptrdiff_t>(table.columns.size() - 2);
  table.columns.erase(table.columns.begin() + host);
  for (InkedLine& row : table.rows) row.erase(row.begin() + host);
}

Block Tables::Workers(Detail detail) const {
  if (detail == Detail::kNone || view_.workers.empty()) return {};
  TextTable table;
  table.columns = {{"worker"}};
  for (const WorkerNumber& number : WorkerNumbers()) {
    table.columns.push_back(number.column);
  }
  table.columns.push_back({"host", 6, true});
  table.columns.push_back({"state", 0, true});
  Block block;
  if (detail == Detail::kRows && view_.workers.size() <= kRows) {
    for (const WorkerView& worker : view_.workers) {
      table.rows.push_back(WorkerRow(worker));
    }
  } else {
    block.push_back({States()});
    table.rows = WorkerSummary();
    for (const WorkerView* worker : Slowest()) {
      table.rows.push_back(WorkerRow(*worker));
    }
  }
  DropHost(table);
  for (InkedLine& line : table.Lines(width_)) block.push_back(std::move(line));
  return block;
}

}  // namespace

Block ServersTable(const JobView& view, Detail detail, bool utf8, int width) {
  return Tables(view, utf8, width).Servers(detail);
}

Block WorkersTable(const JobView& view, Detail detail, bool utf8, int width) {
  return Tables(view, utf8, width).Workers(detail);
}

}  // namespace monsoon
