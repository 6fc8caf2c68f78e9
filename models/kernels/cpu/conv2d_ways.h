// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "models/kernels/conv2d.h"

// The algorithms for a convolution on the CPU, one file each; conv2d.cc picks
// one. One thread at a time; inside, work is shared by the caller's OpenMP
// threads, at most as many as there were when the kernel was made.
namespace monsoon {

using MadeConv2d = absl::StatusOr<std::unique_ptr<Conv2dKernel>>;

// oneDNN's direct convolution: any sizes.
MadeConv2d MakeDirectConv2d(const Conv2dKernel::Spec& spec);

// 3x3 windows of stride 1 over blocks of channels, with four times fewer
// multiplications in the products.
bool FitsWinograd(const Conv2dKernel::Spec& spec);
// REQUIRES: FitsWinograd(spec).
MadeConv2d MakeWinogradConv2d(const Conv2dKernel::Spec& spec);

// 3x3 windows without padding over one or two channels in plain order, without
// dX: the first layer over grey images. oneDNN pads such inputs to eight
// channels, which takes many times as long.
bool FitsNarrow(const Conv2dKernel::Spec& spec);
// REQUIRES: FitsNarrow(spec).
MadeConv2d MakeNarrowConv2d(const Conv2dKernel::Spec& spec);

}  // namespace monsoon
