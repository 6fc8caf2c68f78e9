// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/check.h"
#include "base/device_queue.h"
#include "base/flat.h"
#include "base/layout.h"
#include "models/data_type.h"
#include "models/graph.h"
#include "models/kernels/softmax_cross_entropy.h"
#include "models/precision.h"
#include "models/program.h"
#include "models/score.h"
#include "models/shape.h"

namespace monsoon {

struct ModelOptions {
  // The share of a label's weight that a training loss spreads over all
  // classes (Szegedy et al. 2016, arXiv:1512.00567), in [0, 1).
  double label_smoothing = 0;
  // UNIMPLEMENTED from Build where the processor lacks it.
  Precision precision = Precision::kFp32;
  // False: only Evaluate will be called, where no example depends on others.
  bool trains = true;
  // What computes, outlives the model; null: the processor.
  DeviceQueue* queue = nullptr;
};

// A classifier of examples, or of each of their pixels, under softmax
// cross-entropy, for a few batch sizes fixed at Build: primitives and buffers
// are made there, a step allocates nothing.
// Parameters are the caller's. Owned and used by one thread at a time; several
// models run concurrently. A step uses as many OpenMP threads as the calling
// thread is set to (omp_set_num_threads); with one thread, the same inputs give
// the same bits. On a device, parameters, gradients, examples and labels lie in
// its memory, and a step that comes again is recorded and replayed.
class Model {
 public:
  // `name` as for LayoutOf, with the same errors. `batch_sizes` are the counts
  // that Step and Evaluate will be called with, e.g. the batch size and the
  // size of an epoch's last batch, in any order. INVALID_ARGUMENT when there is
  // none or one is not positive. RESOURCE_EXHAUSTED when the device has no room
  // for the largest, with what it asks for and what would fit.
  static absl::StatusOr<std::unique_ptr<Model>> Build(
      absl::string_view name, const Shape& example, int classes,
      const std::vector<int>& batch_sizes, const ModelOptions& options = {});
  // The same for a network of one's own; its output are the logits, one channel
  // for each class: of the example where that is all, else of each pixel.
  static absl::StatusOr<std::unique_ptr<Model>> Build(
      Graph graph, const Shape& example, const std::vector<int>& batch_sizes,
      const ModelOptions& options = {});

  // Waits for the device: what is under way uses the model's memory.
  ~Model();

  const ParameterLayout& layout() const { return plan_.layout; }
  // For one example; what `monsoon bench kernels` counts as arithmetic.
  int64_t forward_multiply_adds() const { return plan_.forward_multiply_adds; }
  int64_t training_multiply_adds() const {
    return plan_.training_multiply_adds;
  }
  // How the layers of the largest batch compute, where there was a choice: a
  // line each, "conv2: winograd (...)". On a device also how steps are done
  // that came again.
  std::vector<std::string> ways() const;
  int classes() const { return static_cast<int>(logits().channels); }
  // How many labels an example has: 1, or one for each pixel of the logits.
  int64_t labels_per_example() const {
    return logits().height * logits().width;
  }
  // For the largest batch, B, to be filled by the caller from the front:
  // examples [B x example] as row-major (C,H,W), and labels
  // [B x labels_per_example()], each in [0, classes). Kept by Step and
  // Evaluate. Examples are float32, but for bf16 on a device, where they are
  // of input_type(), and input() must not be asked for.
  float* input() {
    MONSOON_CHECK(input_type() == DataType::kFloat32, "float32 examples");
    return static_cast<float*>(examples());
  }
  void* examples();
  DataType input_type() const { return activations_.values().front().type; }
  int32_t* labels() { return reinterpret_cast<int32_t*>(labels_.data()); }

  // The parameters to start from, each tensor as its layer says; see
  // Initializer. Depends on the network and the seed alone. REQUIRES: x.size()
  // == layout().size().
  void Initialize(uint64_t seed, Flat& x) const;

  // The mean loss of the first `count` examples (over all of their labels, with
  // label smoothing) at parameters `x`; the gradient
  // of that mean goes to the sink, layout().size() floats, which may be `x`
  // itself. Moves the statistics in `x` (batch norm), whose gradient is 0.
  // `draw` is Pass::draw. REQUIRES: `count` is one of the batch sizes; `x` and
  // the sink have layout().size() floats.
  float Step(int count, Flat& x, const GradientSink& sink, uint64_t draw = 0);
  // The same on a device, and returns before it is done: then `score`, which is
  // host memory, has the losses' sum. `load` enqueues what makes the batch, the
  // same works every time that `count` is the same.
  void EnqueueStep(int count, Flat& x, const GradientSink& sink, uint64_t draw,
                   absl::FunctionRef<void()> load, Score* score);
  // On a device: steps of every size on parameters that nobody sees, so that
  // libraries and kernels are loaded before times are taken; load(count)
  // enqueues what makes a batch. Where they would not fit in its memory, and on
  // the processor, nothing.
  void WarmUp(absl::FunctionRef<void(int count)> load);
  // How many of the steps that came again are replayed from recordings; why,
  // where one could not be recorded.
  absl::StatusOr<int> recorded_steps() const;
  // Loss and hits of the first `count` examples, as the network computes them
  // outside of training, without label smoothing. REQUIRES: as Step.
  Score Evaluate(int count, const Flat& x);
  // Adds the softmax outputs of the first `count` examples to `sum` [count x
  // classes()], as ensembles do. REQUIRES: as Evaluate; one label an example;
  // the processor computes.
  void AddPredictions(int count, const Flat& x, Flat& sum);

 private:
  // What a recorded step does with every replay.
  struct StepKey {
    int count;
    const float *x, *into;
    float scale, beta;
    auto operator<=>(const StepKey&) const = default;  // NOLINT(modernize-*)
  };
  // Everything that is made for one number of examples.
  struct Sized {
    Program program;
    std::unique_ptr<SoftmaxCrossEntropyKernel> loss;
  };

  Model(Graph graph, Plan plan, int max_batch, const ModelOptions& options);
  const Shape& logits() const { return plan_.shapes.back(); }
  absl::Status BuildFor(int count);
  Sized& Get(int count, const Flat& x);
  // A batch goes through the network in so many parts, one after the other.
  int Parts(int count) const;
  // Makes the examples [begin, end) the input of the network.
  void LoadPart(int begin, int end);
  // Of a step that comes again, recorded the second time; null: it is to be
  // done.
  const DeviceQueue::Recording* RecordingOf(const StepKey& key,
                                            absl::FunctionRef<void()> step);
  // Whether a step may be recorded: nothing in it depends on the draw.
  bool is_repeatable() const;

  Graph graph_;
  Plan plan_;
  ModelOptions options_;
  const Device device_;
  const int largest_part_;
  Activations activations_;
  // Only where batches go in parts:
  Flat input_;     // of the whole batch
  Flat gradient_;  // summed over parts when the sink is x itself
  Flat labels_;    // int32_t
  // On a device:
  Flat score_;         // a Score
  Flat pinned_score_;  // likewise, of the host
  std::map<int, Sized> sizes_;
  // Steps that were done before: null until they come again.
  std::map<StepKey, std::unique_ptr<DeviceQueue::Recording>> recordings_;
  // Not OK: one of them could not be recorded, and no more are tried.
  absl::Status recorded_;
};

// What "mlp", "cnn" or "mlp:500,500" (other hidden sizes) has for parameters,
// without building it. INVALID_ARGUMENT for an unknown name (with the accepted
// ones), bad sizes, fewer than two classes, or examples that do not fit the
// network.
absl::StatusOr<ParameterLayout> LayoutOf(absl::string_view name,
                                         const Shape& example, int classes);

// Whether the model learns from one label for each example, as data sets have
// them: else INVALID_ARGUMENT. LayoutOf's errors as well.
absl::Status CheckOneLabel(absl::string_view name, const Shape& example,
                           int classes);

// The names to choose from, sorted: cnn, mlp, resnet20, unet.
std::vector<std::string> ModelNames();
// One line on what the model of that name is. REQUIRES: one of ModelNames().
std::string ModelDescription(absl::string_view name);

}  // namespace monsoon
