// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

#include "base/element.h"

// The element functions of replicas, optimizers and workers' halves, for every
// device (base/flat.h): x parameters, g gradient, d an update or a way. Those
// of the servers' halves are in trainers/server_elements.h.
namespace monsoon {

// Of any use.

// x <- value
struct SetTo {
  float value;
  MONSOON_ELEMENT void operator()(float& x) const { x = value; }
};

// x <- s x
struct ScaleBy {
  float s;
  MONSOON_ELEMENT void operator()(float& x) const { x *= s; }
};

// x <- x + d
struct AddUpdate {
  MONSOON_ELEMENT void operator()(float& x, float d) const { x += d; }
};

// x <- x + s d
struct AddScaled {
  float s;
  MONSOON_ELEMENT void operator()(float& x, float d) const { x += s * d; }
};

// Optimizers (trainers/optimizer.cc, trainers/tensor_optimizers.cc).

// x <- x - rate g
struct SgdStep {
  float rate;
  MONSOON_ELEMENT void operator()(float& x, float g) const { x -= rate * g; }
};

// v <- 0.9 v + g, x <- x - rate v
struct MomentumStep {
  static constexpr float kMomentum = 0.9f;
  float rate;
  MONSOON_ELEMENT void operator()(float& x, float& v, float g) const {
    v = kMomentum * v + g;
    x -= rate * v;
  }
};

// v <- 0.9 v + g, x <- x - rate (g + 0.9 v)
struct NesterovStep {
  static constexpr float kMomentum = 0.9f;
  float rate;
  MONSOON_ELEMENT void operator()(float& x, float& v, float g) const {
    v = kMomentum * v + g;
    x -= rate * (g + kMomentum * v);
  }
};

// s <- s + g^2, x <- x - rate g / (sqrt(s) + 1e-10)
struct AdagradStep {
  static constexpr float kEpsilon = 1e-10f;
  float rate;
  MONSOON_ELEMENT void operator()(float& x, float& s, float g) const {
    s += g * g;
    x -= rate * g / (std::sqrt(s) + kEpsilon);
  }
};

// m <- 0.9 m + 0.1 g, q <- 0.999 q + 0.001 g^2,
// x <- x - scale m / (sqrt(grow q) + 1e-8)
struct AdamStep {
  static constexpr float kBeta1 = 0.9f, kBeta2 = 0.999f, kEpsilon = 1e-8f;
  float scale, grow;
  MONSOON_ELEMENT void operator()(float& x, float& m, float& q, float g) const {
    m = kBeta1 * m + (1 - kBeta1) * g;
    q = kBeta2 * q + (1 - kBeta2) * g * g;
    x -= scale * m / (std::sqrt(grow * q) + kEpsilon);
  }
};

// m and q as AdamStep, x <- keep x - scale m / (sqrt(grow q) + 1e-8)
struct AdamWStep {
  static constexpr float kBeta1 = 0.9f, kBeta2 = 0.999f, kEpsilon = 1e-8f;
  float scale, grow, keep;
  MONSOON_ELEMENT void operator()(float& x, float& m, float& q, float g) const {
    m = kBeta1 * m + (1 - kBeta1) * g;
    q = kBeta2 * q + (1 - kBeta2) * g * g;
    x = keep * x - scale * m / (std::sqrt(grow * q) + kEpsilon);
  }
};

// v <- 0.9 v + ratio (g + decay x), x <- x - rate v
struct LarsStep {
  static constexpr float kMomentum = 0.9f;
  float rate, ratio, decay;
  MONSOON_ELEMENT void operator()(float& x, float& v, float g) const {
    v = kMomentum * v + ratio * (g + decay * x);
    x -= rate * v;
  }
};

// m and q as AdamStep, d <- grow m / (sqrt(grow_squares q) + 1e-6) + decay x
struct LambDirection {
  static constexpr float kBeta1 = 0.9f, kBeta2 = 0.999f, kEpsilon = 1e-6f;
  float grow, grow_squares, decay;
  MONSOON_ELEMENT void operator()(float& d, float& m, float& q, float x,
                                  float g) const {
    m = kBeta1 * m + (1 - kBeta1) * g;
    q = kBeta2 * q + (1 - kBeta2) * g * g;
    d = grow * m / (std::sqrt(grow_squares * q) + kEpsilon) + decay * x;
  }
};

// The replica (trainers/replica.cc); c is the center that it keeps.

// c <- x - c
struct WayFrom {
  MONSOON_ELEMENT void operator()(float& c, float x) const { c = x - c; }
};

// c <- (x - c) / steps
struct WayPerStep {
  float steps;
  MONSOON_ELEMENT void operator()(float& c, float x) const {
    c = (x - c) / steps;
  }
};

// d <- (x - c) / n
struct MeanWay {
  float n;
  MONSOON_ELEMENT void operator()(float& d, float x, float c) const {
    d = (x - c) / n;
  }
};

// Trainers' worker halves.

// downpour: x <- x - lr g, sum <- sum + g; the first g of a window is its sum
struct SumGradient {
  float lr;
  bool is_first;
  MONSOON_ELEMENT void operator()(float& x, float& sum, float g) const {
    x -= lr * g;
    sum = is_first ? g : sum + g;
  }
};

// eamsgd: v <- delta v - lr g, x <- x - lr g, as x has looked ahead
struct EamsgdStep {
  float delta, lr;
  MONSOON_ELEMENT void operator()(float& x, float& v, float g) const {
    v = delta * v - lr * g;
    x -= lr * g;
  }
};

// Elastic averaging: x <- x - e
struct MoveBack {
  MONSOON_ELEMENT void operator()(float& x, float e) const { x -= e; }
};

// fedprox: g <- g + mu (x - c)
struct PullToCenter {
  float mu;
  MONSOON_ELEMENT void operator()(float& g, float x, float c) const {
    g += mu * (x - c);
  }
};

// Codecs (trainers/codec.cc) of what travels as float32:
// sent <- v + lost, lost <- 0
struct SendAll {
  MONSOON_ELEMENT void operator()(float& sent, float& lost, float v) const {
    sent = v + lost;
    lost = 0;
  }
};

}  // namespace monsoon
