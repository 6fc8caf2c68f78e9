// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/flat.h"
#include "models/layer.h"

// A layer against plain loops (values) and central differences (gradients).
//
// The loss is sum_i r_i y_i with fixed random r, summed in double. For a layer
// that is linear in its input and parameters, or piecewise linear with inputs
// on a grid whose steps the difference does not cross, central differences are
// exact but for float32 rounding of y, about 1e-7 |y| sqrt(outputs) /
// difference, at most 1e-5 here. Hence 1e-4; other layers say what they need.
namespace monsoon {

// y(n, c, h, w) of a layer from x(n, c, h, w) and its parameters. The channels
// of several inputs are counted one behind the other.
using At = std::function<double(int64_t n, int64_t c, int64_t h, int64_t w)>;
using Reference =
    std::function<double(const At& x, const Shape& in, const Flat& parameters,
                         int64_t n, int64_t c, int64_t h, int64_t w)>;

// By how much numbers of a layer may be off: that often they are rounded to
// bfloat16, each time by 2^-8 of themselves at most, and by 2^-8 of `other`
// where something else was rounded on the way.
struct Roundings {
  double times = 1, other = 0;
};

struct LayerCase {
  struct Input {
    Shape shape;
    int64_t block;
  };

  std::string name;
  std::unique_ptr<Layer> layer;
  int64_t batch;
  Shape in;
  int64_t block;  // of the input
  float difference;
  Reference reference;
  double tolerance = 1e-4;
  std::vector<Input> more{};  // inputs behind the first
  // Of activations and gradients on a device.
  DataType input_type = DataType::kFloat32, output_type = DataType::kFloat32;
};

// What the layers of this test program compute on; it is linked with one file
// that says so.
Device TestDevice();

// A built layer with memory of its own. Of a device the numbers here are the
// host's: they go there before each run, and what it wrote comes back.
struct LayerBench {
  // The reference is the processor's, of float32 and plain order.
  explicit LayerBench(const LayerCase& test, bool is_reference = false);

  // Runs forward.
  double Loss();
  // REQUIRES: Loss. Of a device dy comes back as it was.
  void Backward(const GradientSink& sink);
  double x_at(int64_t n, int64_t c, int64_t row, int64_t column) const;
  double y_at(int64_t n, int64_t c, int64_t row, int64_t column) const;
  // The i-th number in plain order of the inputs, one behind the other, and of
  // the output: where it lies.
  int64_t InputPlace(int64_t i) const;
  int64_t OutputPlace(int64_t i) const;

  // The inputs' one behind the other; w are parameters, statistics last.
  Flat x, dx, w, dw, y, dy;
  int64_t trainable;  // of w
  bool training = true;
  uint64_t draw = 0;
  Placement place;
  std::unique_ptr<Operator> op;

 private:
  struct Numbers {
    Flat x, dx, w, y, dy;
  };

  // On the device; empty where that is the processor.
  Numbers there_;
};

// The same random numbers for the same seed, in [-1, 1).
void FillUniform(Flat& values, uint64_t seed);
// What the checks below start from.
void Fill(LayerBench& bench);

void CheckValues(const LayerCase& test);
void CheckGradients(const LayerCase& test);
// A sink receives beta * into + scale * gradient.
void CheckSink(const LayerCase& test);
// A sink with beta 0 is not read.
void CheckUnreadSink(const LayerCase& test);
// The input gradient uses the weights from before the sink.
void CheckSinkInWeights(const LayerCase& test);
// All of these.
void CheckLayer(const LayerCase& test);

// A layer of bfloat16 activations on the device against that of float32 on the
// processor. Both are given the same numbers, which bfloat16 has exactly. What
// a sink is told holds as above. `test` has the types.
struct Bf16Errors {
  Roundings y{}, dx{}, dw{.times = 0};
};
void CheckBf16Layer(const LayerCase& test, const Bf16Errors& errors = {});

}  // namespace monsoon
