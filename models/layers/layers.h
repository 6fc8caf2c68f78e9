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
  // Maximum of each window of max_pool x max_pool of the output, as MaxPool has
  // it, and max(y, 0): at once, cheaper than layers of their own. (They
  // commute: values and gradients do not depend on which comes first.)
  int64_t max_pool = 1;
  bool relu = false;
  bool bias = true;  // batch normalisation has one of its own
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

struct ConvTranspose2dOptions {
  int64_t channels = 1;  // of the output
  int64_t kernel = 2;    // height and width of the window
  int64_t stride = 2;
  int64_t padding = 0;  // rows and columns cut off on each side
  // Rows and columns more, below and on the right; less than the stride.
  int64_t output_padding = 0;
  Initializer weight = HeUniform();
};
// What takes a convolution's gradient to its input, as a layer that enlarges
// images (PyTorch's nn.ConvTranspose2d): height
// (H - 1) stride - 2 padding + kernel + output_padding. weight [C, channels,
// kernel, kernel], bias [channels]. fan_in, C kernel^2 / stride^2, is how many
// inputs reach an output, where PyTorch has channels kernel^2.
std::unique_ptr<Layer> ConvTranspose2d(const ConvTranspose2dOptions& options);

struct BatchNormOptions {
  float momentum = 0.1f;  // the share of the batch in the running statistics
  float epsilon = 1e-5f;  // added to variances
};
// y = weight (x - mean) / sqrt(variance + epsilon) + bias by channels (Ioffe,
// Szegedy 2015, arXiv:1502.03167; PyTorch's nn.BatchNorm2d). In training, mean
// and biased variance are those of the batch and move running_mean and
// running_var (unbiased; a single value has 0 where PyTorch refuses);
// evaluation uses the running ones. All [C]: weight starts at 1, bias at 0,
// running_mean at 0, running_var at 1; the running ones are statistics.
std::unique_ptr<Layer> BatchNorm(const BatchNormOptions& options = {});

// In training, sets numbers to 0, each with probability `rate`, and divides the
// others by 1 - rate; else does nothing (Srivastava et al. 2014, inverted as in
// PyTorch). Which ones depends on Pass::draw, the place in the network and the
// place in memory, so not on threads, but on the order of channels. In place.
// REQUIRES: 0 <= rate < 1.
std::unique_ptr<Layer> Dropout(double rate);

// Mean of each window of size x size, windows side by side; rows and columns
// that do not fill a window are dropped.
std::unique_ptr<Layer> AveragePool(int64_t size);
// Mean of each channel: [C,1,1], in plain order.
std::unique_ptr<Layer> GlobalAveragePool();

struct UpsampleOptions {
  int64_t scale = 2;
  bool bilinear = false;  // else nearest
};
// Images `scale` times as high and as wide (PyTorch's nn.Upsample,
// align_corners=False).
std::unique_ptr<Layer> Upsample(const UpsampleOptions& options = {});

// The sum of two inputs of one shape, what a skip connection ends in. In the
// place of the first.
std::unique_ptr<Layer> Add();

// The channels of all inputs, one behind the other; H and W are equal.
std::unique_ptr<Layer> Concat();

// exp(x_c) / sum of exp(x_k) over the channels of each pixel. In place. Not for
// logits: the loss has a softmax of its own.
std::unique_ptr<Layer> Softmax();

// The numbers of an example as a vector in plain C,H,W order, whatever order
// the layer before prefers: what comes behind means what it means in PyTorch.
std::unique_ptr<Layer> Flatten();

}  // namespace monsoon
