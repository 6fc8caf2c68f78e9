// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/flat.h"
#include "models/graph.h"
#include "models/layer.h"

namespace monsoon {

// [value] What each is in memory: bfloat16 on a GPU of that precision, but the
// logits and what depends on them other than through a product (Layer::
// multiplies); else float32.
std::vector<DataType> ValueTypes(const Graph& graph, const Plan& plan,
                                 Precision precision, const Device& device);

// The memory of all activations and gradients of a graph, for batches up to a
// size; programs of smaller batches use the front of each. An in-place layer
// shares the memory of its first input; what needs no gradient has none.
class Activations {
 public:
  // In that memory, which outlives them. REQUIRES: types are ValueTypes'.
  Activations(const Graph& graph, const Plan& plan,
              const std::vector<DataType>& types, int64_t max_batch,
              MemoryResource& memory);

  // [value], block not yet known.
  const std::vector<Value>& values() const { return values_; }
  // [node][input] Where the node leaves the gradient of that input.
  const std::vector<std::vector<void*>>& input_gradients() const {
    return input_gradients_;
  }

 private:
  void PlaceValues(const Graph& graph, const Plan& plan,
                   const std::vector<DataType>& types);
  void PlaceInputGradients(const Plan& plan);
  void* Allocate(const Value& value);

  int64_t max_batch_;
  MemoryResource& resource_;
  std::vector<Flat> memory_;
  std::vector<Value> values_;
  std::vector<std::vector<void*>> input_gradients_;
};

// A graph made runnable for one batch size. Used by one thread at a time; does
// not own the activations.
class Program {
 public:
  static absl::StatusOr<Program> Build(const Graph& graph, const Plan& plan,
                                       const Activations& activations,
                                       const Device& device,
                                       Precision precision, int64_t batch);

  // From the example's data to the last value's data.
  void Forward(const Pass& pass);
  // From the last value's gradient to the sink; the statistics' is 0.
  void Backward(const Pass& pass, const GradientSink& sink);

  // Operator::way of each node.
  std::vector<std::string> ways() const;
  // The last value, in plain order.
  const Value& output() const { return output_; }

 private:
  // Where several nodes read an output, the first one leaves its gradient in
  // the value's; the others' are added to that before the value's own node runs
  // backward.
  struct Node {
    std::unique_ptr<Operator> op;
    std::vector<std::unique_ptr<Operator>> sums{};
  };

  absl::Status AddGradients(const std::vector<int>& inputs,
                            const std::vector<Value>& values,
                            const Placement& place);

  std::vector<Node> nodes_;
  Value output_;
  int64_t statistics_ = 0;  // where they begin in the Flat
};

}  // namespace monsoon
