// SPDX-License-Identifier: Apache-2.0
#include "report/cells.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "report/number_text.h"

namespace monsoon {
namespace {

using Runs = absl::Span<const RunSummary>;

constexpr char kFolder[] = "folder";
constexpr char kVirtual[] = "virtual";

std::string ValueOf(const RunSummary& run, const std::string& key) {
  // Runs of train, launch and simulate are repeats wherever they lie.
  if (key == kFolder) return run.is_bench ? run.folder : "";
  return run.Setting(key);
}

// The keys by which the runs `of` differ, beyond what keys before them explain:
// a hyper-parameter that follows from the number of workers says nothing new.
std::vector<std::string> DifferingKeys(Runs runs,
                                       const std::vector<size_t>& of) {
  std::vector<std::string> keys;
  for (const size_t i : of) {
    for (const auto& setting : runs[i].settings) {
      if (std::find(keys.begin(), keys.end(), setting.first) == keys.end()) {
        keys.push_back(setting.first);
      }
    }
  }
  keys.emplace_back(kFolder);  // the last: where benches repeat each other
  std::vector<std::string> differing;
  for (const std::string& key : keys) {
    std::map<std::vector<std::string>, std::set<std::string>> values;
    for (const size_t i : of) {
      std::vector<std::string> before;
      for (const std::string& other : differing) {
        before.push_back(ValueOf(runs[i], other));
      }
      if (key == kFolder) before.push_back(absl::StrCat(runs[i].batch_size));
      values[before].insert(ValueOf(runs[i], key));
    }
    if (std::any_of(values.begin(), values.end(),
                    [](const auto& part) { return part.second.size() > 1; })) {
      differing.push_back(key);
    }
  }
  return differing;
}

// ", 4 workers"; what has no value here, and another run has, is not said.
std::string Described(const std::string& key, const std::string& value) {
  if (value.empty()) return "";
  if (key == "workers" || key == "servers") {
    const std::string one(absl::StripSuffix(key, "s"));
    return absl::StrCat(", ", value, " ", value == "1" ? one : key);
  }
  if (key == "wire" || key == "transport" || key == kFolder) {
    return absl::StrCat(", ", value);
  }
  return absl::StrCat(", ", absl::StripPrefix(key, "hyper."), " ", value);
}

// The cells of one trainer, by variant; adds its variants to the group.
void AddTrainer(Runs runs, const std::vector<size_t>& of, RunGroup& group) {
  const std::vector<std::string> keys = DifferingKeys(runs, of);
  std::vector<std::vector<std::string>> seen;  // values of the variants
  const size_t first = group.variants.size();
  for (const size_t i : of) {
    const RunSummary& run = runs[i];
    std::vector<std::string> values;
    Variant variant = {.trainer = run.trainer,
                       .name = run.trainer,
                       .family = run.trainer,
                       .workers = run.workers};
    for (const std::string& key : keys) {
      values.push_back(ValueOf(run, key));
      const std::string text = Described(key, values.back());
      variant.name += text;
      if (key != "workers") variant.family += text;
    }
    const size_t place =
        std::find(seen.begin(), seen.end(), values) - seen.begin();
    if (place == seen.size()) {
      seen.push_back(values);
      group.variants.push_back(variant);
    }
    const size_t index = first + place;
    auto cell = std::find_if(
        group.cells.begin(), group.cells.end(), [&](const RunCell& other) {
          return other.variant == index && other.batch_size == run.batch_size;
        });
    if (cell == group.cells.end()) {
      group.cells.push_back({.variant = index, .batch_size = run.batch_size});
      cell = group.cells.end() - 1;
    }
    cell->runs.push_back(i);
  }
}

// "single (1 worker)": where the names do not say it and most have another
// number. A tie is decided for the larger one.
void NameWorkers(RunGroup& group) {
  std::map<int64_t, int> counts;
  for (const Variant& variant : group.variants) ++counts[variant.workers];
  const int64_t usual = std::max_element(counts.begin(), counts.end(),
                                         [](const auto& a, const auto& b) {
                                           return std::tie(a.second, a.first) <
                                                  std::tie(b.second, b.first);
                                         })
                            ->first;
  for (Variant& variant : group.variants) {
    if (variant.workers == usual || variant.workers == 0 ||
        absl::StrContains(variant.name, " worker")) {
      continue;
    }
    absl::StrAppend(&variant.name, " (", CountedText(variant.workers, "worker"),
                    ")");
  }
}

void Measure(Runs runs, RunCell& cell) {
  std::vector<double> elapsed;
  std::vector<double> accuracy;
  for (const size_t i : cell.runs) {
    if (runs[i].disturbed) ++cell.disturbed;
    if (!runs[i].done()) {
      ++cell.endings[runs[i].status];
      continue;
    }
    ++cell.done;
    elapsed.push_back(runs[i].elapsed_s);
    accuracy.push_back(runs[i].test_acc);
  }
  cell.elapsed = MeasureSpread(std::move(elapsed));
  cell.accuracy = MeasureSpread(std::move(accuracy));
}

// Sorts and measures the cells.
void MeasureCells(Runs runs, RunGroup& group) {
  std::sort(group.cells.begin(), group.cells.end(),
            [](const RunCell& a, const RunCell& b) {
              return std::tie(a.variant, a.batch_size) <
                     std::tie(b.variant, b.batch_size);
            });
  std::set<int64_t> batch_sizes;
  for (RunCell& cell : group.cells) {
    Measure(runs, cell);
    batch_sizes.insert(cell.batch_size);
  }
  group.batch_sizes.assign(batch_sizes.begin(), batch_sizes.end());
}

std::string TitleOf(const RunSummary& run) {
  return absl::StrCat(
      run.model, run.data.empty() ? "" : absl::StrCat(" on ", run.data),
      run.epochs == 0 ? ""
                      : absl::StrCat(", ", CountedText(run.epochs, "epoch")),
      run.transport == kVirtual ? ", simulated" : "");
}

}  // namespace

bool RunGroup::has_done() const {
  return std::any_of(cells.begin(), cells.end(),
                     [](const RunCell& cell) { return cell.done > 0; });
}

const RunCell* RunGroup::Find(size_t variant, int64_t batch_size) const {
  for (const RunCell& cell : cells) {
    if (cell.variant == variant && cell.batch_size == batch_size) return &cell;
  }
  return nullptr;
}

std::vector<RunGroup> GroupRuns(Runs runs) {
  std::vector<RunGroup> groups;
  // Of each group, the runs of every trainer.
  std::vector<std::vector<std::vector<size_t>>> members;
  for (size_t i = 0; i < runs.size(); ++i) {
    const std::string title = TitleOf(runs[i]);
    size_t place = 0;
    while (place < groups.size() && groups[place].title != title) ++place;
    if (place == groups.size()) {
      groups.push_back({.title = title});
      members.emplace_back();
    }
    auto& parts = members[place];
    auto part = std::find_if(
        parts.begin(), parts.end(), [&](const std::vector<size_t>& other) {
          return runs[other.front()].trainer == runs[i].trainer;
        });
    if (part == parts.end()) part = parts.emplace(part);
    part->push_back(i);
  }
  for (size_t g = 0; g < groups.size(); ++g) {
    for (const auto& part : members[g]) AddTrainer(runs, part, groups[g]);
    NameWorkers(groups[g]);
    MeasureCells(runs, groups[g]);
  }
  return groups;
}

}  // namespace monsoon
