// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/flat.h"
#include "models/device.h"
#include "models/kernels/conv2d.h"

namespace monsoon {

// A copy on the device; null: of the host.
Flat OnDevice(const Device& device, const Flat& values);

// A convolution of a device against plain loops, values and all gradients.
// What is to be overwritten holds NaNs before.
void CheckConvolution(const Device& device, const Conv2dKernel::Spec& spec);

// The same of bfloat16 activations, and of such in front of float32 ones.
// REQUIRES: a device, kBf16.
void CheckBf16Convolution(const Device& device, const Conv2dKernel::Spec& spec);

}  // namespace monsoon
