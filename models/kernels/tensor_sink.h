// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "base/flat.h"

namespace monsoon {

// A GradientSink narrowed to one tensor: into = beta * into + scale * gradient.
// With beta 0, `into` is not read (it may hold anything).
struct TensorSink {
  float* into;
  float scale;
  float beta;

  TensorSink(const GradientSink& sink, int64_t offset)
      : into(sink.into.data() + offset), scale(sink.scale), beta(sink.beta) {}

  // For kernels that cannot fold scale and beta into their product.
  void Take(const float* gradient, int64_t size) const {
    Flat target = Flat::View(into, size);
    const Flat source = Flat::View(gradient, size);
    if (beta == 0) {
      ForEach([s = scale](float& t, float g) { t = s * g; }, target, source);
    } else {
      ForEach([s = scale, b = beta](float& t, float g) { t = b * t + s * g; },
              target, source);
    }
  }
};

}  // namespace monsoon
