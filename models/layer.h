// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/flat.h"
#include "base/layout.h"
#include "models/shape.h"

namespace monsoon {

// What a node hands on: a batch of N activations and their gradients. Borrowed
// memory of the model. Channels lie in groups of `block`, in memory
// [N, C / block, H, W, block]: block 1 is plain row-major C,H,W; a kernel picks
// another divisor of C where it computes faster so.
struct Value {
  Shape shape;
  int64_t block = 1;
  float* data = nullptr;
  float* gradient = nullptr;  // null: nobody needs it
};

// Where a layer finds everything once shapes, batch and memory are known.
struct Placement {
  absl::string_view device;      // "cpu"
  int64_t batch = 1;             // N
  std::vector<Value> inputs{};   // in the order of the node's inputs
  Value output;                  // Build sets its block
  std::vector<int64_t> offsets;  // of the layer's parameters in the Flat
};

// A layer for one batch size: kernels and memory are bound, running it
// allocates nothing. Used by one thread at a time.
class Operator {
 public:
  virtual ~Operator() = default;
  // Overwrites output.data. `x` holds all parameters of the model.
  virtual void Forward(const Flat& x) = 0;
  // From output.gradient: overwrites inputs[i].gradient where that is not null,
  // and only then hands the parameters' gradients to the sink, because the sink
  // may be `x` itself. Reads inputs[i].data as Forward left it; output.data is
  // not to be relied upon (an in-place successor may own it) unless the layer
  // is in place itself.
  virtual void Backward(const Flat& x, const GradientSink& sink) = 0;
};

// What a layer is, independent of batch and device: immutable, cheap, shared by
// all batch sizes.
class Layer {
 public:
  struct Parameter {
    std::string name;  // within the node: "weight"
    std::vector<int64_t> shape;
    TensorKind kind = TensorKind::kWeight;
  };

  virtual ~Layer() = default;
  // INVALID_ARGUMENT, without naming the node, when the inputs do not fit.
  virtual absl::StatusOr<Shape> OutputShape(
      absl::Span<const Shape> inputs) const = 0;
  virtual std::vector<Parameter> Parameters(absl::Span<const Shape>) const {
    return {};
  }
  // True: the output may lie in the memory of the only input.
  virtual bool in_place() const { return false; }
  // UNIMPLEMENTED when the device lacks a kernel.
  virtual absl::StatusOr<std::unique_ptr<Operator>> Build(
      Placement& place) const = 0;
};

}  // namespace monsoon
