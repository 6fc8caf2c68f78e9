// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>

#include "models/initializer.h"
#include "models/layer.h"

// The layers that networks are made of, each in the file of its name. N batch,
// C channels, H W space.
namespace monsoon {

struct DenseOptions {
  int64_t units = 1;  // outputs
  bool relu = false;  // max(y, 0) at once, cheaper than a layer of its own
  Initializer weight = HeUniform();
};
// y = x W^T + b over the whole example in C,H,W order (PyTorch's nn.Linear).
// weight [units, C*H*W], bias [units]. Input in plain order (see Flatten).
std::unique_ptr<Layer> Dense(const DenseOptions& options);

struct Conv2dOptions {
  int64_t channels = 1;  // of the output
  int64_t kernel = 3;    // height and width of the window
  int64_t stride = 1;
  int64_t padding = 0;   // zeros on each side; 0 is "valid"
  int64_t dilation = 1;  // distance of the window's numbers
  // Output channels of a group read the input channels of that group alone.
  int64_t groups = 1;
  bool relu = false;  // max(y, 0) at once, cheaper than a layer of its own
  Initializer weight = HeUniform();
};
// Cross-correlation (PyTorch's nn.Conv2d). weight [channels, C/groups,
// kernel, kernel], bias [channels].
std::unique_ptr<Layer> Conv2d(const Conv2dOptions& options);

// max(x, 0), gradient 0 at 0. In place.
std::unique_ptr<Layer> Relu();

// Maximum of each window of size x size, windows side by side; rows and columns
// that do not fill a window are dropped. A tie goes to the first in row order.
std::unique_ptr<Layer> MaxPool(int64_t size);

// The numbers of an example as a vector in plain C,H,W order, whatever order
// the layer before prefers: what comes behind means what it means in PyTorch.
std::unique_ptr<Layer> Flatten();

}  // namespace monsoon
