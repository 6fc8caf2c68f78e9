// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "base/flat.h"

namespace monsoon {

// A GradientSink narrowed to one tensor: into = beta * into + scale * gradient.
// With beta 0, `into` is not read (it may hold anything). Who writes there
// hands everything on; with beta 0 from memory of its own, if it likes.
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

  // The tensor's rest from this offset on.
  TensorSink From(int64_t offset) const {
    TensorSink rest = *this;
    rest.into += offset;
    rest.place += offset;
    return rest;
  }

  // `gradient` (scaled, and added to what was there, as asked) is that of
  // [offset, offset + size).
  void HandOn(int64_t offset, const float* gradient, int64_t size) const {
    if (listener == nullptr) return;
    listener->Take(place + offset, Flat::View(gradient, size));
  }

  // For kernels that cannot fold scale and beta into their product.
  void Take(const float* gradient, int64_t size) const {
    if (listener != nullptr && beta == 0 && scale == 1) {
      HandOn(0, gradient, size);
      return;
    }
    Flat target = Flat::View(into, size);
    const Flat source = Flat::View(gradient, size);
    if (beta == 0) {
      ForEach([s = scale](float& t, float g) { t = s * g; }, target, source);
    } else {
      ForEach([s = scale, b = beta](float& t, float g) { t = b * t + s * g; },
              target, source);
    }
    HandOn(0, into, size);
  }
};

}  // namespace monsoon
