// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <cstdint>

#include "base/element.h"

// Where the numbers of activations lie in memory (see Value), for kernels of an
// index. All are values that lambdas capture.
namespace monsoon {

// Division by a number that is known beforehand. GPUs have no instruction for
// it, and every thread takes its index apart: below 2^31 it is a multiplication
// here (Granlund, Montgomery 1994).
class Divisor {
 public:
  struct Result {
    int64_t quotient, remainder;
  };

  // REQUIRES: divisor > 0.
  explicit Divisor(int64_t divisor) : divisor_(divisor) {
    // Of larger ones the quotient of n < 2^31 is 0, and the factor so.
    if (divisor > INT32_MAX) return;
    const auto d = static_cast<uint64_t>(divisor);
    shift_ = static_cast<uint32_t>(std::bit_width(d - 1));
    factor_ =
        static_cast<uint32_t>(((uint64_t{1} << (31 + shift_)) + d - 1) / d);
  }

  // REQUIRES: n >= 0.
  MONSOON_ELEMENT Result operator()(int64_t n) const {
    if (n > INT32_MAX) {
      const int64_t quotient = n / divisor_;
      return {quotient, n - quotient * divisor_};
    }
    const auto low = static_cast<uint32_t>(n);
    const uint64_t product = uint64_t{low * 2u} * factor_;
    const uint32_t quotient = static_cast<uint32_t>(product >> 32) >> shift_;
    return {quotient, low - quotient * static_cast<uint32_t>(divisor_)};
  }
  MONSOON_ELEMENT int64_t value() const { return divisor_; }

 private:
  int64_t divisor_;
  uint32_t factor_ = 0;  // 2^(31 + shift) / divisor, rounded up
  uint32_t shift_ = 0;   // 2^shift is the divisor, rounded up to such a power
};

// The channels of one pixel, one behind the other.
struct ChannelWalk {
  int64_t at;           // where the present channel's number lies
  int64_t block, jump;  // jump: from behind a block to the next one
  int64_t lane = 0;     // of the channel in its block

  MONSOON_ELEMENT void Next() {
    ++at;
    if (++lane < block) return;
    lane = 0;
    at += jump;
  }
};

// The order [N, C / block, space, block] of [N, C, space], space = H * W.
class BlockOrder {
 public:
  struct Place {
    int64_t image, channel, pixel;
  };

  BlockOrder(int64_t channels, int64_t space, int64_t block)
      : block_(block), space_(space), groups_(channels / block) {}

  // Of the i-th number in memory.
  MONSOON_ELEMENT Place Of(int64_t i) const {
    const auto lane = block_(i);
    const auto pixel = space_(lane.quotient);
    const auto group = groups_(pixel.quotient);
    return {group.quotient, group.remainder * block_.value() + lane.remainder,
            pixel.remainder};
  }
  // The inverse.
  MONSOON_ELEMENT int64_t At(const Place& p) const {
    const auto group = block_(p.channel);
    return ((p.image * groups_.value() + group.quotient) * space_.value() +
            p.pixel) *
               block_.value() +
           group.remainder;
  }
  // Pixels are counted through all images.
  MONSOON_ELEMENT ChannelWalk Walk(int64_t pixel) const {
    const auto p = space_(pixel);
    return {(p.quotient * groups_.value() * space_.value() + p.remainder) *
                block_.value(),
            block_.value(), (space_.value() - 1) * block_.value()};
  }

 private:
  Divisor block_, space_, groups_;
};

// The same memory as N * C / block planes [H, W, block], for kernels that work
// on each plane alike.
class PlaneOrder {
 public:
  struct Place {
    int64_t plane, row, column, lane;
  };

  PlaneOrder(int64_t height, int64_t width, int64_t block)
      : block_(block), width_(width), height_(height) {}

  MONSOON_ELEMENT Place Of(int64_t i) const {
    const auto lane = block_(i);
    const auto column = width_(lane.quotient);
    const auto row = height_(column.quotient);
    return {row.quotient, row.remainder, column.remainder, lane.remainder};
  }
  MONSOON_ELEMENT int64_t At(const Place& p) const {
    return ((p.plane * height_.value() + p.row) * width_.value() + p.column) *
               block_.value() +
           p.lane;
  }

 private:
  Divisor block_, width_, height_;
};

}  // namespace monsoon
