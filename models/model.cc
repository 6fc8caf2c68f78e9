// SPDX-License-Identifier: Apache-2.0
#include "models/model.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/random.h"
#include "base/status_macros.h"
#include "models/kernels/kernel.h"
#include "models/zoo/zoo.h"

namespace monsoon {
namespace {

constexpr absl::string_view kDevice = "cpu";

}  // namespace

absl::StatusOr<std::unique_ptr<Model>> Model::Build(
    absl::string_view name, const Shape& example, int classes,
    const std::vector<int>& batch_sizes) {
  ASSIGN_OR_RETURN(Graph graph, MakeGraph(name, classes));
  return Build(std::move(graph), example, batch_sizes);
}

absl::StatusOr<std::unique_ptr<Model>> Model::Build(
    Graph graph, const Shape& example, const std::vector<int>& batch_sizes) {
  if (batch_sizes.empty()) {
    return absl::InvalidArgumentError("no batch size, expected at least one");
  }
  const auto [least, most] =
      std::minmax_element(batch_sizes.begin(), batch_sizes.end());
  if (*least < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("batch size ", *least, ", expected at least 1"));
  }
  ASSIGN_OR_RETURN(Plan plan, MakePlan(graph, example));
  auto model = std::unique_ptr<Model>(
      new Model(std::move(graph), std::move(plan), *most));
  for (int batch : batch_sizes) {
    ASSIGN_OR_RETURN(Program program,
                     Program::Build(model->graph_, model->plan_,
                                    model->activations_, kDevice, batch));
    ASSIGN_OR_RETURN(
        auto loss, MakeKernel<SoftmaxCrossEntropyKernel>(
                       kDevice, {.batch = batch, .classes = model->classes()}));
    model->sizes_.insert_or_assign(batch,
                                   Sized{std::move(program), std::move(loss)});
  }
  return model;
}

Model::Model(Graph graph, Plan plan, int max_batch)
    : graph_(std::move(graph)),
      plan_(std::move(plan)),
      activations_(graph_, plan_, max_batch),
      labels_(max_batch) {}

Model::Sized& Model::Get(int count, const Flat& x) {
  const auto sized = sizes_.find(count);
  MONSOON_CHECK(sized != sizes_.end(), "the count is one of the batch sizes");
  MONSOON_CHECK(x.size() == layout().size(), "x has the layout's size");
  return sized->second;
}

void Model::Initialize(uint64_t seed, Flat& x) const {
  MONSOON_CHECK(x.size() == layout().size(), "x has the layout's size");
  for (size_t i = 0; i < layout().tensors().size(); ++i) {
    const TensorSpec& tensor = layout().tensors()[i];
    Random random({seed, Random::kInitialize, i});
    Flat values = x.Slice(tensor.offset, tensor.size());
    plan_.initializers[i].Fill(tensor.shape, random, values);
  }
}

float Model::Step(int count, Flat& x, const GradientSink& sink, uint64_t draw) {
  MONSOON_CHECK(sink.into.size() == layout().size(),
                "the sink has the layout's size");
  Sized& sized = Get(count, x);
  const Pass pass{.x = x, .training = true, .draw = draw};
  sized.program.Forward(pass);
  const Value& logits = sized.program.output();
  const Score score =
      sized.loss->Run(logits.data, labels_.data(), logits.gradient);
  sized.program.Backward(pass, sink);
  return static_cast<float>(score.loss_sum / count);
}

Score Model::Evaluate(int count, const Flat& x) {
  Sized& sized = Get(count, x);
  // A pass that evaluates writes no parameters.
  Flat unchanged = Flat::View(const_cast<float*>(x.data()), x.size());
  sized.program.Forward({.x = unchanged});
  return sized.loss->Run(sized.program.output().data, labels_.data(), nullptr);
}

absl::StatusOr<ParameterLayout> LayoutOf(absl::string_view name,
                                         const Shape& example, int classes) {
  ASSIGN_OR_RETURN(const Graph graph, MakeGraph(name, classes));
  ASSIGN_OR_RETURN(Plan plan, MakePlan(graph, example));
  return std::move(plan.layout);
}

}  // namespace monsoon
