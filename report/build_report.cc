// SPDX-License-Identifier: Apache-2.0
#include "report/build_report.h"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "report/cells.h"
#include "report/claims.h"
#include "report/figures.h"
#include "report/number_text.h"

namespace monsoon {
namespace {

using Json = nlohmann::ordered_json;

// The texts or numbers that the matrices of the benches list under `key`, in
// their order, each once.
template <typename Value>
std::vector<Value> Listed(absl::Span<const ResultFolder> folders,
                          const char* key) {
  std::vector<Value> values;
  for (const ResultFolder& folder : folders) {
    if (!folder.matrix.is_object() || !folder.matrix.contains(key)) continue;
    const Json& list = folder.matrix[key];
    if (!list.is_array()) continue;
    for (const Json& item : list) {
      const bool fits = std::is_same_v<Value, std::string> ? item.is_string()
                                                           : item.is_number();
      if (!fits) continue;
      const auto value = item.get<Value>();
      if (std::find(values.begin(), values.end(), value) == values.end()) {
        values.push_back(value);
      }
    }
  }
  return values;
}

// The place of a name in a list, to which it is added where it is not there.
size_t Place(std::vector<std::string>& names, const std::string& name) {
  const auto found = std::find(names.begin(), names.end(), name);
  const size_t place = static_cast<size_t>(found - names.begin());
  if (found == names.end()) names.push_back(name);
  return place;
}

// Local steps between exchanges; 0 of a trainer that has no such choice.
int64_t WindowOf(const RunSummary& run) {
  int64_t window = 0;
  return absl::SimpleAtoi(run.Setting("hyper.window"), &window) ? window : 0;
}

// As the matrices list models, trainers and codes, then as runs come; numbers
// going up.
std::vector<RunSummary> Sorted(absl::Span<const ResultFolder> folders) {
  auto models = Listed<std::string>(folders, "models");
  auto trainers = Listed<std::string>(folders, "trainers");
  auto wires = Listed<std::string>(folders, "wire");
  std::vector<std::string> data;
  using Key = std::tuple<size_t, size_t, int64_t, size_t, int64_t, int64_t,
                         size_t, int64_t, int64_t, uint64_t>;
  std::vector<std::pair<Key, RunSummary>> keyed;
  for (const ResultFolder& folder : folders) {
    for (const RunSummary& run : folder.runs) {
      keyed.emplace_back(
          Key{Place(models, run.model), Place(data, run.data), run.epochs,
              Place(trainers, run.trainer), run.workers, run.servers,
              Place(wires, run.Setting("wire")), WindowOf(run), run.batch_size,
              run.seed},
          run);
    }
  }
  std::stable_sort(
      keyed.begin(), keyed.end(),
      [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<RunSummary> runs;
  for (auto& [key, run] : keyed) runs.push_back(std::move(run));
  return runs;
}

// "processor" -> "AMD EPYC", of nested objects "versions grpc" -> "1.51.1".
void AddFacts(const Json& object, const std::string& prefix, size_t column,
              size_t columns, Table& table) {
  if (!object.is_object()) return;
  for (const auto& [key, value] : object.items()) {
    const std::string name = absl::StrCat(prefix, key);
    if (value.is_object()) {
      AddFacts(value, absl::StrCat(name, " "), column, columns, table);
      continue;
    }
    auto row =
        std::find_if(table.rows.begin(), table.rows.end(),
                     [&](const auto& other) { return other[0] == name; });
    if (row == table.rows.end()) {
      table.rows.push_back(std::vector<std::string>(columns, "-"));
      row = table.rows.end() - 1;
      (*row)[0] = name;
    }
    (*row)[column] = value.is_null()     ? "not known"
                     : value.is_string() ? value.get<std::string>()
                                         : value.dump();
  }
}

Table Machines(absl::Span<const ResultFolder> folders) {
  Table table;
  table.columns = {"machine"};
  for (const ResultFolder& folder : folders) {
    if (folder.machine.is_object()) table.columns.push_back(folder.path);
  }
  size_t column = 0;
  for (const ResultFolder& folder : folders) {
    if (!folder.machine.is_object()) continue;
    AddFacts(folder.machine, "", ++column, table.columns.size(), table);
  }
  return table;
}

std::string Summary(const Report& report) {
  std::set<std::string> trainers;
  std::vector<std::string> groups;
  int64_t done = 0;
  int64_t disturbed = 0;
  for (const RunSummary& run : report.runs) {
    trainers.insert(run.trainer);
    if (run.done()) ++done;
    if (run.disturbed) ++disturbed;
  }
  for (const Chapter& chapter : report.chapters) {
    groups.push_back(chapter.title);
  }
  const int64_t runs = static_cast<int64_t>(report.runs.size());
  return absl::StrCat(
      CountedText(runs, "run"), " of ",
      CountedText(static_cast<int64_t>(trainers.size()), "trainer"), ": ",
      ListText(groups), ". ",
      done == runs ? "All are done."
                   : absl::StrCat(runs - done, " not done, shown as such."),
      disturbed == 0
          ? ""
          : absl::StrCat(" ", CountedText(disturbed, "run"),
                         disturbed == 1 ? " was" : " were",
                         " disturbed by other processes, marked with *."));
}

// How the numbers came about, of the product as it is.
std::vector<std::string> Rules(const Report& report) {
  std::vector<std::string> rules;
  rules.emplace_back(
      "Elapsed time runs from the first batch to the last applied update, on "
      "the clock of the first server; loading the data, evaluation and saving "
      "are outside it.");
  rules.emplace_back(
      "An epoch is one pass over the data by all workers together; the table "
      "of runs has the samples that each one really processed, over all "
      "workers, tail batches included.");
  rules.emplace_back(
      "Test accuracy is that of the result on all test data, evaluated after "
      "the run; the points of a curve are copies that were evaluated after it "
      "too.");
  rules.emplace_back(
      "Values are medians over repeats, which differ in their seeds. Of three "
      "repeats and more, [low, high] is the 95 % interval of the median "
      "(bootstrap, as in monsoon compare), which up to five repeats is the "
      "range of their values; of two, (low to high) is the range. Where these "
      "overlap, the order may be chance.");
  rules.emplace_back(
      "Only runs that are done count in medians of elapsed time and accuracy. "
      "Runs that failed, diverged or were interrupted are shown as such and "
      "never dropped.");
  rules.emplace_back(
      "Bytes are those of the values that workers pushed and pulled.");
  const auto has = [&report](auto of) {
    return std::any_of(report.runs.begin(), report.runs.end(), of);
  };
  if (has([](const RunSummary& run) { return run.is_bench; })) {
    rules.emplace_back(
        "The runs of a bench are processes of their own, one after another, in "
        "an order shuffled by the seed, so that drift of the machine favours "
        "nobody. A run during which other processes, or other machines on the "
        "same host, took too much of the processors' time is marked as "
        "disturbed, and counts like the others.");
  }
  if (has([](const RunSummary& run) { return run.transport == "virtual"; })) {
    rules.emplace_back(
        "Times of simulated runs are virtual: they say what the simulated "
        "cluster would need, and are never compared with measured ones.");
  }
  return rules;
}

Chapter BuildChapter(const FigureInputs& inputs,
                     const std::vector<double>& targets) {
  Chapter chapter = {.title = inputs.group.title,
                     .claims = GroupClaims(inputs.group)};
  const auto add = [&chapter](std::optional<Figure> figure) {
    if (figure.has_value()) chapter.figures.push_back(*std::move(figure));
  };
  add(ElapsedFigure(inputs));
  add(AccuracyFigure(inputs));
  add(ReachFigure(inputs, kWallTime));
  add(ReachFigure(inputs, kSamples));
  add(ReachFigure(inputs, kMegabytes));
  add(LossFigure(inputs));
  add(StalenessFigure(inputs));
  add(ScalingFigure(inputs));
  for (const double target : targets) add(TimeToFigure(inputs, target));
  return chapter;
}

}  // namespace

Report BuildReport(absl::Span<const ResultFolder> folders,
                   const std::vector<std::string>& notices) {
  Report report;
  for (const ResultFolder& folder : folders) {
    report.notices.insert(report.notices.end(), folder.notices.begin(),
                          folder.notices.end());
  }
  report.notices.insert(report.notices.end(), notices.begin(), notices.end());
  report.runs = Sorted(folders);
  const std::vector<RunGroup> groups = GroupRuns(report.runs);
  const auto targets = Listed<double>(folders, "time_to");
  Styles styles;
  for (size_t i = 0; i < groups.size(); ++i) {
    report.chapters.push_back(BuildChapter(
        {report.runs, groups[i], absl::StrCat("c", i + 1), styles}, targets));
  }
  report.machines = Machines(folders);
  report.summary = Summary(report);
  report.rules = Rules(report);
  return report;
}

int Styles::Of(const std::string& name) {
  return static_cast<int>(Place(names_, name));
}

}  // namespace monsoon
