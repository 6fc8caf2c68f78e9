// SPDX-License-Identifier: Apache-2.0
#include "worker/evaluate.h"

#include <omp.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <memory>
#include <numeric>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "models/model.h"

namespace monsoon {
namespace {

constexpr int64_t kBatch = 500;
// Each has a model of its own.
constexpr size_t kMostThreads = 16;

// Of the members' mean softmax outputs [count x classes].
Score ScoreOf(const Flat& sum, size_t members, int count, int classes,
              const int32_t* labels) {
  Score score;
  for (int i = 0; i < count; ++i) {
    const auto outputs = sum.span().subspan(
        static_cast<size_t>(i) * static_cast<size_t>(classes),
        static_cast<size_t>(classes));
    const double p = double{outputs[static_cast<size_t>(labels[i])]} /
                     static_cast<double>(members);
    // Below what a float can tell from none.
    score.loss_sum -= std::log(std::max(p, 1e-30));
    const auto first = std::max_element(outputs.begin(), outputs.end());
    if (first - outputs.begin() == labels[i]) ++score.correct;
  }
  return score;
}

Score EvaluateBatch(Model& model, int count, absl::Span<const Flat> members) {
  if (members.size() == 1) return model.Evaluate(count, members.front());
  Flat sum(int64_t{count} * model.classes());
  for (const Flat& member : members) model.AddPredictions(count, member, sum);
  return ScoreOf(sum, members.size(), count, model.classes(), model.labels());
}

// Takes batches until there are none, on one compute thread.
absl::Status EvaluateBatches(const std::string& name, const Dataset& dataset,
                             absl::Span<const Flat> members,
                             std::atomic<size_t>& next,
                             std::vector<Score>& scores) {
  omp_set_num_threads(1);
  const int64_t size = dataset.size();
  const auto batch = static_cast<int>(std::min(kBatch, size));
  const auto tail = static_cast<int>(size % batch == 0 ? batch : size % batch);
  ASSIGN_OR_RETURN(
      const std::unique_ptr<Model> model,
      Model::Build(name, {dataset.channels, dataset.height, dataset.width},
                   dataset.classes, {batch, tail}, {.trains = false}));
  for (const Flat& member : members) {
    if (model->layout().size() == member.size()) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("model ", name, " has ", model->layout().size(),
                     " parameters, found ", member.size()));
  }
  std::vector<int64_t> rows;
  for (size_t i = next++; i < scores.size(); i = next++) {
    const int64_t begin = static_cast<int64_t>(i) * batch;
    rows.resize(static_cast<size_t>(std::min<int64_t>(batch, size - begin)));
    std::iota(rows.begin(), rows.end(), begin);
    Gather(dataset, absl::MakeSpan(rows), model->input(), model->labels());
    scores[i] = EvaluateBatch(*model, static_cast<int>(rows.size()), members);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Evaluation> Evaluate(const std::string& name,
                                    const Dataset& dataset,
                                    absl::Span<const Flat> members) {
  const int64_t size = dataset.size();
  RETURN_IF_ERROR(
      CheckOneLabel(name, {dataset.channels, dataset.height, dataset.width},
                    dataset.classes));
  std::vector<Score> scores(static_cast<size_t>((size + kBatch - 1) / kBatch));
  std::atomic<size_t> next{0};
  std::vector<absl::Status> ended(
      std::clamp<size_t>(std::thread::hardware_concurrency(), 1,
                         std::min(kMostThreads, scores.size())));
  std::vector<std::thread> threads;
  for (absl::Status& status : ended) {
    threads.emplace_back([&] {
      status = EvaluateBatches(name, dataset, members, next, scores);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const absl::Status& status : ended) RETURN_IF_ERROR(status);
  Score total;
  for (const Score& score : scores) {
    total.loss_sum += score.loss_sum;
    total.correct += score.correct;
  }
  return Evaluation{
      total.loss_sum / static_cast<double>(size),
      static_cast<double>(total.correct) / static_cast<double>(size)};
}

}  // namespace monsoon
