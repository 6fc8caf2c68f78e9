// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

// What the emulated cuDNN can do, beside the runtime's (emulator.h).
namespace monsoon::emulator {

struct CudnnAbilities {
  bool nhwc = true;           // convolutions in that order
  bool deterministic = true;  // algorithms for gradients
  // What is listed, but refused when it is to run: the first algorithm that
  // fits and is deterministic, any convolution with channels inside.
  bool first_runs = true;
  bool nhwc_runs = true;
  // The first GPU is lost when a convolution is to run; there is no memory.
  bool loses_gpu = false;
  bool out_of_memory = false;
  // What the algorithm that would be the fastest wants.
  size_t large_workspace = size_t{1} << 30;
};
// From the next question for an algorithm on; at first all of it.
void SetCudnn(const CudnnAbilities& abilities);

}  // namespace monsoon::emulator
