// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "base/flat.h"

namespace monsoon {

// A GradientSink narrowed to one tensor: into = beta * into + scale * gradient.
// With beta 0, `into` is not read (it may hold anything).
// Who writes says what is Ready.
struct TensorSink {
  float* into;
  float scale;
  float beta;
  GradientListener* listener;
  int64_t place;  // of the tensor, in what the listener counts

  TensorSink(const GradientSink& sink, int64_t offset)
      : into(sink.into.data() + offset),
        scale(sink.scale),
        beta(sink.beta),
        listener(sink.listener),
        place(offset) {}

  void Ready(int64_t offset, int64_t size) const {
    if (listener != nullptr) listener->Ready(place + offset, size);
  }

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
    Ready(0, size);
  }
};

}  // namespace monsoon
