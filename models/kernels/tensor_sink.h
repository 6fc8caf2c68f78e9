// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "base/flat.h"
#include "models/elements.h"

namespace monsoon {

// A GradientSink narrowed to one tensor: into = beta * into + scale * gradient.
// With beta 0, `into` is not read (it may hold anything). Who writes there
// hands everything on; with beta 0 from memory of its own, if it likes.
struct TensorSink {
  float* into;
  float scale;
  float beta;
  GradientListener* listener;
  int64_t place;       // of the tensor, in what the listener counts
  DeviceQueue* queue;  // whose memory `into` is; null: the host's

  TensorSink(const GradientSink& sink, int64_t offset)
      : into(sink.into.data() + offset),
        scale(sink.scale),
        beta(sink.beta),
        listener(sink.listener),
        place(offset),
        queue(sink.into.queue()) {}

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
    listener->Take(place + offset, Flat::View(gradient, size, queue));
  }

  // For kernels that cannot fold scale and beta into their product.
  void Take(const float* gradient, int64_t size) const {
    if (listener != nullptr && beta == 0 && scale == 1) {
      HandOn(0, gradient, size);
      return;
    }
    Flat target = Flat::View(into, size, queue);
    const Flat source = Flat::View(gradient, size, queue);
    if (beta == 0) {
      ForEach(ScaleTo{scale}, target, source);
    } else {
      ForEach(BlendInto{scale, beta}, target, source);
    }
    HandOn(0, into, size);
  }
};

}  // namespace monsoon
