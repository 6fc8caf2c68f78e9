// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

#include "base/element.h"

// The element functions of the servers' halves, for every device
// (base/flat.h): c the center, d what a worker pushed, s the center as that
// worker last saw it. Those of the workers' are in trainers/elements.h.
namespace monsoon {

// Shards and rounds (server/hosted_shard.cc, server/round.cc).

// to <- s d
struct Discounted {
  float s;
  MONSOON_ELEMENT void operator()(float& to, float d) const { to = s * d; }
};

// x <- x / n
struct DivideBy {
  float n;
  MONSOON_ELEMENT void operator()(float& x) const { x /= n; }
};

// lost <- 0 where |v| is not below `largest`
struct ForgetLarge {
  float largest;
  MONSOON_ELEMENT void operator()(float& lost, float v) const {
    if (!(std::abs(v) < largest)) lost = 0;
  }
};

// Elastic averaging (trainers/elastic_trainer.cc).

// e <- alpha (x - c), c <- c + e
struct ElasticMove {
  float alpha;
  MONSOON_ELEMENT void operator()(float& e, float& c, float x) const {
    e = alpha * (x - c);
    c += e;
  }
};

// e <- alpha (x - c)
struct ElasticDifference {
  float alpha;
  MONSOON_ELEMENT void operator()(float& e, float c, float x) const {
    e = alpha * (x - c);
  }
};

// adag_distance: c <- c + d / (1 + (c - s)^2 / gamma)
struct FadeByDistance {
  float gamma;
  MONSOON_ELEMENT void operator()(float& c, float d, float s) const {
    const float way = c - s;
    c += d / (1 + way * way / gamma);
  }
};

// dcasgd: c <- c - lr (g + lambda g^2 (c - s))
struct CompensateDelay {
  float lr, lambda;
  MONSOON_ELEMENT void operator()(float& c, float g, float s) const {
    c -= lr * (g + lambda * g * g * (c - s));
  }
};

// dcasgd, adaptive: q <- m q + (1 - m) g^2, and lambda / sqrt(q + 1e-7) for
// lambda
struct CompensateDelayAdaptively {
  float lr, lambda, decay;
  MONSOON_ELEMENT void operator()(float& c, float& q, float g, float s) const {
    q = decay * q + (1 - decay) * g * g;
    const float strength = lambda / std::sqrt(q + 1e-7f);
    c -= lr * (g + strength * g * g * (c - s));
  }
};

// diloco_async: b <- b + d; what closes a buffer: m <- beta m + b/n, b <- 0;
// c <- c + lr (part beta m + d/n)
struct DelayedNesterov {
  bool closes;
  float n, part, beta, lr;
  MONSOON_ELEMENT void operator()(float& c, float& b, float& m, float d) const {
    b += d;
    if (closes) {
      m = beta * m + b / n;
      b = 0;
    }
    c += lr * (part * beta * m + d / n);
  }
};

// fedadam (trainers/fedadam.cc).

// v <- v + d^2
struct AddSquare {
  MONSOON_ELEMENT void operator()(float& v, float d) const { v += d * d; }
};

// v <- b v + (1 - b) d^2
struct MeanSquare {
  float b;
  MONSOON_ELEMENT void operator()(float& v, float d) const {
    v = b * v + (1 - b) * d * d;
  }
};

// v <- v - (1 - b) d^2 sign(v - d^2)
struct YogiSquare {
  float b;
  MONSOON_ELEMENT void operator()(float& v, float d) const {
    const float square = d * d;
    const float sign = v > square ? 1.0f : (v < square ? -1.0f : 0);
    v -= (1 - b) * square * sign;
  }
};

// m <- b m + (1 - b) d, c <- c + lr m / (sqrt(v) + tau)
struct FedAdamStep {
  float b, lr, tau;
  MONSOON_ELEMENT void operator()(float& c, float& m, float v, float d) const {
    m = b * m + (1 - b) * d;
    c += lr * m / (std::sqrt(v) + tau);
  }
};

// gem (trainers/gem.cc).

// pi = (kappa |m| - |moved|) / (|d| + epsilon), from clamp_min to clamp_max
struct GemFactor {
  float kappa, epsilon, clamp_min, clamp_max;
  MONSOON_ELEMENT float operator()(float m, float moved, float d) const {
    const float pi =
        (kappa * std::abs(m) - std::abs(moved)) / (std::abs(d) + epsilon);
    const float least = clamp_min < pi ? pi : clamp_min;
    return least < clamp_max ? least : clamp_max;
  }
};

// m <- mu m + d, c <- c + pi d with what others moved since s
struct GemMove {
  float mu;
  GemFactor factor;
  MONSOON_ELEMENT void operator()(float& c, float& m, float d, float s) const {
    m = mu * m + d;
    c += factor(m, c - s, d) * d;
  }
};

// The same where the worker's own last commit counts as motion: o <- pi d
struct GemMoveWithOwn {
  float mu;
  GemFactor factor;
  MONSOON_ELEMENT void operator()(float& c, float& m, float& o, float d,
                                  float s) const {
    m = mu * m + d;
    o = factor(m, c - (s - o), d) * d;
    c += o;
  }
};

}  // namespace monsoon
