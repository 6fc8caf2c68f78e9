// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/flat.h"
#include "base/layout.h"
#include "models/graph.h"
#include "models/kernels/softmax_cross_entropy.h"
#include "models/program.h"
#include "models/score.h"
#include "models/shape.h"

namespace monsoon {

// A classifier under softmax cross-entropy, for a few batch sizes fixed at
// Build: primitives and buffers are made there, a step allocates nothing.
// Parameters are the caller's. Owned and used by one thread at a time; several
// models run concurrently. A step uses as many OpenMP threads as the calling
// thread is set to (omp_set_num_threads); with one thread, the same inputs give
// the same bits.
class Model {
 public:
  // `name` as for LayoutOf, with the same errors. `batch_sizes` are the counts
  // that Step and Evaluate will be called with, e.g. the batch size and the
  // size of an epoch's last batch, in any order. INVALID_ARGUMENT when there is
  // none or one is not positive.
  static absl::StatusOr<std::unique_ptr<Model>> Build(
      absl::string_view name, const Shape& example, int classes,
      const std::vector<int>& batch_sizes);
  // The same for a network of one's own; its output are the logits.
  static absl::StatusOr<std::unique_ptr<Model>> Build(
      Graph graph, const Shape& example, const std::vector<int>& batch_sizes);

  const ParameterLayout& layout() const { return plan_.layout; }
  int classes() const { return static_cast<int>(plan_.shapes.back().size()); }
  // For the largest batch, B, to be filled by the caller from the front:
  // examples [B x example] as row-major float32 (C,H,W), and labels [B], each
  // in [0, classes). Kept by Step and Evaluate.
  float* input() { return activations_.values().front().data; }
  int32_t* labels() { return labels_.data(); }

  // The parameters to start from, each tensor as its layer says; see
  // Initializer. Depends on the network and the seed alone. REQUIRES: x.size()
  // == layout().size().
  void Initialize(uint64_t seed, Flat& x) const;

  // The mean loss of the first `count` examples at parameters `x`; the gradient
  // of that mean goes to the sink, layout().size() floats, which may be `x`
  // itself. Moves the statistics in `x` (batch norm), whose gradient is 0.
  // `draw` is Pass::draw. REQUIRES: `count` is one of the batch sizes; `x` and
  // the sink have layout().size() floats.
  float Step(int count, Flat& x, const GradientSink& sink, uint64_t draw = 0);
  // Loss and hits of the first `count` examples, as the network computes them
  // outside of training. REQUIRES: as Step.
  Score Evaluate(int count, const Flat& x);

 private:
  // Everything that is made for one batch size.
  struct Sized {
    Program program;
    std::unique_ptr<SoftmaxCrossEntropyKernel> loss;
  };

  Model(Graph graph, Plan plan, int max_batch);
  Sized& Get(int count, const Flat& x);

  Graph graph_;
  Plan plan_;
  Activations activations_;
  std::vector<int32_t> labels_;
  std::map<int, Sized> sizes_;
};

// What "mlp", "cnn" or "mlp:500,500" (other hidden sizes) has for parameters,
// without building it. INVALID_ARGUMENT for an unknown name (with the accepted
// ones), bad sizes, fewer than two classes, or examples too small for the
// network.
absl::StatusOr<ParameterLayout> LayoutOf(absl::string_view name,
                                         const Shape& example, int classes);

// The names to choose from, sorted: cnn, mlp.
std::vector<std::string> ModelNames();
// One line on what the model of that name is. REQUIRES: one of ModelNames().
std::string ModelDescription(absl::string_view name);

}  // namespace monsoon
