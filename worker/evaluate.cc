// SPDX-License-Identifier: Apache-2.0
#include "worker/evaluate.h"

#include <algorithm>
#include <memory>
#include <numeric>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "models/model.h"

namespace monsoon {
namespace {

constexpr int64_t kBatch = 500;

}  // namespace

absl::StatusOr<Evaluation> Evaluate(const std::string& name,
                                    const Dataset& dataset,
                                    const Flat& parameters) {
  const int64_t size = dataset.size();
  const auto batch = static_cast<int>(std::min(kBatch, size));
  const auto tail = static_cast<int>(size % batch == 0 ? batch : size % batch);
  const Shape example{dataset.channels, dataset.height, dataset.width};
  RETURN_IF_ERROR(CheckOneLabel(name, example, dataset.classes));
  ASSIGN_OR_RETURN(const std::unique_ptr<Model> model,
                   Model::Build(name, example, dataset.classes, {batch, tail},
                                {.trains = false}));
  if (model->layout().size() != parameters.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("model ", name, " has ", model->layout().size(),
                     " parameters, found ", parameters.size()));
  }
  std::vector<int64_t> rows(static_cast<size_t>(size));
  std::iota(rows.begin(), rows.end(), 0);
  Score total;
  for (int64_t begin = 0; begin < size; begin += batch) {
    const auto count = std::min<int64_t>(batch, size - begin);
    Gather(dataset,
           absl::MakeSpan(rows).subspan(static_cast<size_t>(begin),
                                        static_cast<size_t>(count)),
           model->input(), model->labels());
    const Score score = model->Evaluate(static_cast<int>(count), parameters);
    total.loss_sum += score.loss_sum;
    total.correct += score.correct;
  }
  return Evaluation{
      total.loss_sum / static_cast<double>(size),
      static_cast<double>(total.correct) / static_cast<double>(size)};
}

}  // namespace monsoon
