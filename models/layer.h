// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/check.h"
#include "base/flat.h"
#include "base/layout.h"
#include "models/data_type.h"
#include "models/initializer.h"
#include "models/kernels/kernel.h"
#include "models/precision.h"
#include "models/shape.h"

namespace monsoon {

// One run of the network: what a step or an evaluation hands to every layer.
struct Pass {
  Flat& x;                // all parameters; training moves the statistics in it
  bool training = false;  // batch norm and dropout differ
  // Seeds what is random in this pass (dropout): a function of the seed, the
  // worker and the step, so that a run can be repeated.
  uint64_t draw = 0;
};

// What a node hands on: a batch of N activations and their gradients. Borrowed
// memory of the model. Channels lie in groups of `block`, in memory
// [N, C / block, H, W, block]: block 1 is plain row-major C,H,W; a kernel picks
// another divisor of C where it computes faster so.
struct Value {
  Shape shape;
  int64_t block = 1;
  // Numbers of `type`.
  void* data = nullptr;
  void* gradient = nullptr;  // null: nobody needs it
  DataType type = DataType::kFloat32;
};

// REQUIRES of both: the value has numbers of this type.
template <typename Number>
Number* DataOf(const Value& value) {
  MONSOON_CHECK(value.type == kDataTypeOf<Number>, "numbers of this type");
  return static_cast<Number*>(value.data);
}
template <typename Number>
Number* GradientOf(const Value& value) {
  MONSOON_CHECK(value.type == kDataTypeOf<Number>, "numbers of this type");
  return static_cast<Number*>(value.gradient);
}

// Where a layer finds everything once shapes, batch and memory are known.
struct Placement {
  Device device;
  Precision precision = Precision::kFp32;
  int64_t batch = 1;             // N
  int64_t node = 0;              // index in the graph
  std::vector<Value> inputs{};   // in the order of the node's inputs
  Value output;                  // Build sets its block
  std::vector<int64_t> offsets;  // of the layer's parameters in the Flat
};

// A layer for one batch size: kernels and memory are bound, running it
// allocates nothing. Used by one thread at a time.
class Operator {
 public:
  virtual ~Operator() = default;
  // Overwrites output.data. In a training pass, a layer with statistics moves
  // them in pass.x here; it writes nothing else there, and nothing at all when
  // the pass evaluates.
  virtual void Forward(const Pass& pass) = 0;
  // Of a training pass, after its Forward. From output.gradient: overwrites
  // inputs[i].gradient where that is not null, and only then hands the
  // parameters' gradients to the sink, because the sink may be pass.x itself.
  // Leaves statistics alone: their gradient is 0, so Program makes them beta *
  // into, which in a sink that is pass.x with beta 1 is what Forward left.
  // Reads inputs[i].data as Forward left it, unless the layer is in place, and
  // output.data only where the layer says needs_output(): else an in-place
  // successor may own that.
  virtual void Backward(const Pass& pass, const GradientSink& sink) = 0;
  // How it computes, where there was a choice: for people.
  virtual std::string way() const { return ""; }
};

// What a layer is, independent of batch and device: immutable, cheap, shared by
// all batch sizes.
class Layer {
 public:
  struct Parameter {
    std::string name;  // within the node: "weight"
    std::vector<int64_t> shape;
    TensorKind kind = TensorKind::kWeight;
    Initializer initializer{};  // zeros
  };

  virtual ~Layer() = default;
  // INVALID_ARGUMENT, without naming the node, when the inputs do not fit.
  virtual absl::StatusOr<Shape> OutputShape(
      absl::Span<const Shape> inputs) const = 0;
  virtual std::vector<Parameter> Parameters(absl::Span<const Shape>) const {
    return {};
  }
  // Of one example's forward, in what counts as arithmetic: products of
  // matrices and convolutions.
  virtual int64_t MultiplyAdds(absl::Span<const Shape>) const { return 0; }
  // True: the output may lie in the memory of the first input, if that is of
  // its size and nobody else reads it.
  virtual bool in_place() const { return false; }
  // True: Backward reads output.data, so no other layer may write there.
  virtual bool needs_output() const { return false; }
  // True: in training, what an example gives depends on the others of its
  // batch.
  virtual bool couples_examples() const { return false; }
  // True: in training, what it does depends on Pass::draw.
  virtual bool draws() const { return false; }
  // True: a product of two operands (Precision), which may write float32 though
  // it reads bfloat16. All values of another layer have one type.
  virtual bool multiplies() const { return false; }
  // UNIMPLEMENTED when the device lacks a kernel.
  virtual absl::StatusOr<std::unique_ptr<Operator>> Build(
      Placement& place) const = 0;
};

}  // namespace monsoon
