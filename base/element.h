// SPDX-License-Identifier: Apache-2.0
#pragma once

// In front of an element function's operator(): it runs on the host, and where
// the CUDA compiler reads it, on a device too.
//
//   // x <- x - rate g
//   struct SgdStep {
//     float rate;
//     MONSOON_ELEMENT void operator()(float& x, float g) const {
//       x -= rate * g;
//     }
//   };
#ifdef __CUDACC__
#define MONSOON_ELEMENT __host__ __device__
#else
#define MONSOON_ELEMENT
#endif
