// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the emulated cuDNN can do, beside the runtime's (emulator.h).
namespace monsoon::emulator {

struct CudnnAbilities {
  bool nhwc = true;           // convolutions in that order
  bool deterministic = true;  // algorithms for gradients
};
// From the next question for an algorithm on; at first all of it.
void SetCudnn(const CudnnAbilities& abilities);

}  // namespace monsoon::emulator
