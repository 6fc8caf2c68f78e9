// SPDX-License-Identifier: Apache-2.0
#include "models/model.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/random.h"
#include "base/size_text.h"
#include "base/status_macros.h"
#include "models/elements.h"
#include "models/kernels/kernel.h"
#include "models/zoo/zoo.h"

namespace monsoon {
namespace {

// What a part of a batch may take for its activations and their gradients: few
// enough examples that they are still in cache when the next layer reads them,
// and that memory does not grow with the batch.
constexpr int64_t kPartBytes = 16 << 20;

// Distance of the draws of a batch's parts: more than the steps of any run.
constexpr uint64_t kPartDraw = uint64_t{1} << 48;

// The first example of part i; parts differ by one example at most.
int PartBegin(int count, int parts, int i) {
  return static_cast<int>(int64_t{count} * i / parts);
}

// Of one example: activations and their gradients.
int64_t ExampleBytes(const Graph& graph, const Plan& plan,
                     const ModelOptions& options) {
  const std::vector<DataType> types =
      ValueTypes(graph, plan, options.precision, {options.queue});
  int64_t bytes = 0;
  for (size_t i = 0; i < types.size(); ++i) {
    bytes += 2 * plan.shapes[i].size() * BytesOf(types[i]);
  }
  return bytes;
}

// A device takes a batch as a whole: its memory is not a cache.
int LargestPart(const Graph& graph, const Plan& plan, int max_batch,
                const ModelOptions& options) {
  if (options.queue != nullptr) return max_batch;
  for (const Graph::Node& node : graph.nodes()) {
    if (options.trains && node.layer->couples_examples()) return max_batch;
  }
  return static_cast<int>(std::clamp<int64_t>(
      kPartBytes / ExampleBytes(graph, plan, options), 1, max_batch));
}

absl::Status CheckRoom(const Graph& graph, const Plan& plan, int max_batch,
                       const ModelOptions& options) {
  const DeviceQueue& queue = *options.queue;
  const int64_t each = ExampleBytes(graph, plan, options);
  const int64_t free = queue.FreeBytes();
  if (max_batch * each <= free) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat(
      queue.name(), ": a batch of ", max_batch, " takes ",
      SizeText(static_cast<double>(max_batch * each)), " for its activations, ",
      SizeText(static_cast<double>(free)), " are free, where about ",
      free / each, " examples would fit; use a smaller --batch-size"));
}

// So many steps at most are recorded: what changes from step to step is not.
constexpr size_t kMostRecordings = 32;

// The floats that a value takes.
template <typename T>
constexpr int64_t kFloats = sizeof(T) / sizeof(float);

}  // namespace

absl::StatusOr<std::unique_ptr<Model>> Model::Build(
    absl::string_view name, const Shape& example, int classes,
    const std::vector<int>& batch_sizes, const ModelOptions& options) {
  ASSIGN_OR_RETURN(Graph graph, MakeGraph(name, example, classes));
  return Build(std::move(graph), example, batch_sizes, options);
}

absl::StatusOr<std::unique_ptr<Model>> Model::Build(
    Graph graph, const Shape& example, const std::vector<int>& batch_sizes,
    const ModelOptions& options) {
  if (batch_sizes.empty()) {
    return absl::InvalidArgumentError("no batch size, expected at least one");
  }
  const auto [least, most] =
      std::minmax_element(batch_sizes.begin(), batch_sizes.end());
  if (*least < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("batch size ", *least, ", expected at least 1"));
  }
  if (!(options.label_smoothing >= 0 && options.label_smoothing < 1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("label smoothing ", options.label_smoothing,
                     ", expected at least 0 and less than 1"));
  }
  RETURN_IF_ERROR(CheckPrecision(options.precision, {options.queue}));
  ASSIGN_OR_RETURN(Plan plan, MakePlan(graph, example));
  if (options.queue != nullptr) {
    RETURN_IF_ERROR(CheckRoom(graph, plan, *most, options));
  }
  auto model = std::unique_ptr<Model>(
      new Model(std::move(graph), std::move(plan), *most, options));
  for (int batch : batch_sizes) {
    const int parts = model->Parts(batch);
    for (int i = 0; i < parts; ++i) {
      RETURN_IF_ERROR(model->BuildFor(PartBegin(batch, parts, i + 1) -
                                      PartBegin(batch, parts, i)));
    }
  }
  if (options.queue != nullptr) {
    const absl::Status built = options.queue->Wait();
    if (absl::IsResourceExhausted(built)) {
      return absl::ResourceExhaustedError(absl::StrCat(
          built.message(), "; it was for batches of ", *most, " examples"));
    }
    RETURN_IF_ERROR(built);
  }
  return model;
}

absl::Status Model::BuildFor(int count) {
  if (sizes_.contains(count)) return absl::OkStatus();
  ASSIGN_OR_RETURN(Program program,
                   Program::Build(graph_, plan_, activations_, device_,
                                  options_.precision, count));
  const Value& logits = program.output();
  ASSIGN_OR_RETURN(auto loss, MakeKernel<SoftmaxCrossEntropyKernel>(
                                  device_, {.batch = count,
                                            .logits = logits.shape,
                                            .block = logits.block}));
  sizes_.emplace(count, Sized{std::move(program), std::move(loss)});
  return absl::OkStatus();
}

Model::Model(Graph graph, Plan plan, int max_batch, const ModelOptions& options)
    : graph_(std::move(graph)),
      plan_(std::move(plan)),
      options_(options),
      device_{options.queue},
      largest_part_(LargestPart(graph_, plan_, max_batch, options)),
      activations_(graph_, plan_,
                   ValueTypes(graph_, plan_, options.precision, device_),
                   largest_part_, device_.memory()),
      labels_(max_batch * labels_per_example(), device_.memory()) {
  if (device_.queue != nullptr) {
    score_ = Flat(kFloats<Score>, *device_.queue);
    pinned_score_ = Flat(kFloats<Score>, device_.queue->pinned());
  }
  if (largest_part_ == max_batch) return;
  input_ = Flat(max_batch * plan_.shapes.front().size());
  gradient_ = Flat(layout().size());
}

Model::~Model() {
  if (device_.queue != nullptr) device_.queue->Wait().IgnoreError();
}

void* Model::examples() {
  return input_.empty() ? activations_.values().front().data : input_.data();
}

int Model::Parts(int count) const {
  return (count + largest_part_ - 1) / largest_part_;
}

void Model::LoadPart(int begin, int end) {
  if (input_.empty()) return;
  const int64_t size = plan_.shapes.front().size();
  std::copy_n(input_.data() + begin * size, (end - begin) * size,
              DataOf<float>(activations_.values().front()));
}

Model::Sized& Model::Get(int count, const Flat& x) {
  const auto sized = sizes_.find(count);
  MONSOON_CHECK(sized != sizes_.end(), "the count is one of the batch sizes");
  MONSOON_CHECK(x.size() == layout().size(), "x has the layout's size");
  return sized->second;
}

std::vector<std::string> Model::ways() const {
  std::vector<std::string> lines;
  const std::vector<std::string> ways = sizes_.rbegin()->second.program.ways();
  for (size_t i = 0; i < ways.size(); ++i) {
    if (ways[i].empty()) continue;
    lines.push_back(absl::StrCat(graph_.nodes()[i].name, ": ", ways[i]));
  }
  if (device_.queue != nullptr && options_.trains) {
    lines.push_back(absl::StrCat(
        "steps: ", !is_repeatable() ? "not recorded, as they draw numbers"
                   : recorded_.ok()
                       ? "recorded and replayed"
                       : absl::StrCat("not recorded: ", recorded_.message())));
  }
  return lines;
}

void Model::Initialize(uint64_t seed, Flat& x) const {
  MONSOON_CHECK(x.size() == layout().size(), "x has the layout's size");
  for (size_t i = 0; i < layout().tensors().size(); ++i) {
    const TensorSpec& tensor = layout().tensors()[i];
    Random random({seed, Random::kInitialize, i});
    Flat values(tensor.size());
    plan_.initializers[i].Fill(tensor.shape, random, values);
    x.Slice(tensor.offset, tensor.size()).CopyFrom(values);
  }
}

float Model::Step(int count, Flat& x, const GradientSink& sink, uint64_t draw) {
  MONSOON_CHECK(options_.trains, "the model was built to train");
  MONSOON_CHECK(sink.into.size() == layout().size(),
                "the sink has the layout's size");
  if (device_.queue != nullptr) {
    auto* const score = reinterpret_cast<Score*>(pinned_score_.data());
    EnqueueStep(
        count, x, sink, draw, [] {}, score);
    device_.queue->Wait().IgnoreError();  // it keeps its status
    return static_cast<float>(
        score->loss_sum / static_cast<double>(count * labels_per_example()));
  }
  const int parts = Parts(count);
  // All parts are to see the same x.
  const bool waits = parts > 1 && sink.into.data() == x.data();
  Flat& into = waits ? gradient_ : sink.into;
  const float scale = waits ? 1 : sink.scale;
  double loss = 0;
  for (int i = 0; i < parts; ++i) {
    const int begin = PartBegin(count, parts, i);
    const int end = PartBegin(count, parts, i + 1);
    LoadPart(begin, end);
    Sized& sized = Get(end - begin, x);
    const Pass pass{.x = x,
                    .training = true,
                    .draw = draw + static_cast<uint64_t>(i) * kPartDraw};
    sized.program.Forward(pass);
    const Value& logits = sized.program.output();
    Score score;
    sized.loss->Run(
        DataOf<float>(logits), labels() + begin * labels_per_example(),
        options_.label_smoothing, GradientOf<float>(logits), &score);
    loss += score.loss_sum;
    const float share =
        static_cast<float>(end - begin) / static_cast<float>(count);
    const float first_beta = waits ? 0 : sink.beta;
    sized.program.Backward(pass, {into, scale * share, i == 0 ? first_beta : 1,
                                  i + 1 == parts ? sink.listener : nullptr});
  }
  if (waits) {
    ForEach(BlendInto{sink.scale, sink.beta}, x, gradient_);
  }
  return static_cast<float>(loss /
                            static_cast<double>(count * labels_per_example()));
}

void Model::EnqueueStep(int count, Flat& x, const GradientSink& sink,
                        uint64_t draw, absl::FunctionRef<void()> load,
                        Score* score) {
  DeviceQueue& queue = *device_.queue;
  Sized& sized = Get(count, x);
  const auto step = [&] {
    load();
    const Pass pass{.x = x, .training = true, .draw = draw};
    sized.program.Forward(pass);
    const Value& logits = sized.program.output();
    sized.loss->Run(DataOf<float>(logits), labels(), options_.label_smoothing,
                    GradientOf<float>(logits),
                    reinterpret_cast<Score*>(score_.data()));
    // What listens does something else with every step.
    sized.program.Backward(pass, {sink.into, sink.scale, sink.beta});
  };
  const StepKey key{count, x.data(), sink.into.data(), sink.scale, sink.beta};
  const DeviceQueue::Recording* const recording = RecordingOf(key, step);
  if (recording == nullptr) {
    step();
  } else {
    queue.Replay(*recording);
  }
  queue.Copy(score, score_.data(), sizeof(Score));
  if (sink.listener != nullptr) sink.listener->Take(0, sink.into);
}

const DeviceQueue::Recording* Model::RecordingOf(
    const StepKey& key, absl::FunctionRef<void()> step) {
  const auto found = recordings_.find(key);
  if (found == recordings_.end()) {
    // The first time libraries prepare what they need, which is not recorded.
    if (is_repeatable() && recordings_.size() < kMostRecordings) {
      recordings_.try_emplace(key);
    }
    return nullptr;
  }
  if (found->second == nullptr && recorded_.ok()) {
    auto recording = device_.queue->Record(step);
    recorded_ = recording.status();
    if (recording.ok()) found->second = *std::move(recording);
  }
  return found->second.get();
}

void Model::WarmUp(absl::FunctionRef<void(int count)> load) {
  DeviceQueue* const queue = device_.queue;
  const int64_t bytes = layout().size() * static_cast<int64_t>(sizeof(float));
  if (queue == nullptr || queue->FreeBytes() < 4 * bytes) return;
  Flat x(layout().size(), *queue), gradient(layout().size(), *queue);
  auto* const score = reinterpret_cast<Score*>(pinned_score_.data());
  for (const auto& [count, sized] : sizes_) {
    // The second time it is recorded.
    for (int time = 0; time < 2; ++time) {
      EnqueueStep(
          count, x, {gradient}, /*draw=*/0, [&, n = count] { load(n); }, score);
    }
  }
  queue->Wait().IgnoreError();  // it keeps its status
  recordings_.clear();          // of memory that goes now
}

absl::StatusOr<int> Model::recorded_steps() const {
  RETURN_IF_ERROR(recorded_);
  return static_cast<int>(
      std::count_if(recordings_.begin(), recordings_.end(),
                    [](const auto& entry) { return entry.second != nullptr; }));
}

bool Model::is_repeatable() const {
  const auto& nodes = graph_.nodes();
  return std::none_of(nodes.begin(), nodes.end(), [](const Graph::Node& node) {
    return node.layer->draws();
  });
}

Score Model::Evaluate(int count, const Flat& x) {
  // A pass that evaluates writes no parameters.
  Flat unchanged =
      Flat::View(const_cast<float*>(x.data()), x.size(), x.queue());
  if (device_.queue != nullptr) {
    Sized& sized = Get(count, x);
    sized.program.Forward({.x = unchanged});
    sized.loss->Run(DataOf<float>(sized.program.output()), labels(),
                    /*smoothing=*/0, nullptr,
                    reinterpret_cast<Score*>(score_.data()));
    auto* const score = reinterpret_cast<Score*>(pinned_score_.data());
    device_.queue->Copy(score, score_.data(), sizeof(Score));
    device_.queue->Wait().IgnoreError();  // it keeps its status
    return *score;
  }
  const int parts = Parts(count);
  Score total;
  for (int i = 0; i < parts; ++i) {
    const int begin = PartBegin(count, parts, i);
    const int end = PartBegin(count, parts, i + 1);
    LoadPart(begin, end);
    Sized& sized = Get(end - begin, x);
    sized.program.Forward({.x = unchanged});
    Score score;
    sized.loss->Run(DataOf<float>(sized.program.output()),
                    labels() + begin * labels_per_example(),
                    /*smoothing=*/0, nullptr, &score);
    total.loss_sum += score.loss_sum;
    total.correct += score.correct;
  }
  return total;
}

void Model::AddPredictions(int count, const Flat& x, Flat& sum) {
  MONSOON_CHECK(labels_per_example() == 1, "one label an example");
  MONSOON_CHECK(device_.queue == nullptr, "the processor computes");
  Flat unchanged = Flat::View(const_cast<float*>(x.data()), x.size());
  const int parts = Parts(count);
  Flat gradient(sum.size());
  for (int i = 0; i < parts; ++i) {
    const int begin = PartBegin(count, parts, i);
    const int end = PartBegin(count, parts, i + 1);
    LoadPart(begin, end);
    Sized& sized = Get(end - begin, x);
    sized.program.Forward({.x = unchanged});
    // The gradient of a mean loss is (softmax - one at the label) / examples:
    // so it gives the softmax of all but the label, whose own follows from a
    // run with another label.
    const absl::Span<int32_t> own(labels() + begin,
                                  static_cast<size_t>(end - begin));
    const auto examples = static_cast<float>(end - begin);
    const auto next = [this](int32_t label) { return (label + 1) % classes(); };
    const std::vector<int32_t> right(own.begin(), own.end());
    for (const bool others : {true, false}) {
      if (!others)
        std::transform(right.begin(), right.end(), own.begin(), next);
      Score score;
      sized.loss->Run(DataOf<float>(sized.program.output()), own.data(),
                      /*smoothing=*/0, gradient.data(), &score);
      for (size_t example = 0; example < right.size(); ++example) {
        const int64_t row = static_cast<int64_t>(example) * classes();
        float* const to = sum.data() + int64_t{begin} * classes() + row;
        for (int k = 0; k < classes(); ++k) {
          if ((k != right[example]) == others) {
            to[k] += gradient[row + k] * examples;
          }
        }
      }
    }
    std::copy(right.begin(), right.end(), own.begin());
  }
}

absl::StatusOr<ParameterLayout> LayoutOf(absl::string_view name,
                                         const Shape& example, int classes) {
  ASSIGN_OR_RETURN(const Graph graph, MakeGraph(name, example, classes));
  ASSIGN_OR_RETURN(Plan plan, MakePlan(graph, example));
  return std::move(plan.layout);
}

absl::Status CheckOneLabel(absl::string_view name, const Shape& example,
                           int classes) {
  ASSIGN_OR_RETURN(const Graph graph, MakeGraph(name, example, classes));
  ASSIGN_OR_RETURN(const Plan plan, MakePlan(graph, example));
  const Shape& logits = plan.shapes.back();
  if (logits.height * logits.width == 1) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("model ", name, " learns a label for each of ",
                   logits.height, "x", logits.width,
                   " pixels, the data set has one for each example; use "
                   "another model"));
}

}  // namespace monsoon
