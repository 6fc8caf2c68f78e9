// SPDX-License-Identifier: Apache-2.0
#include "cuda/launch.h"
#include "models/kernels/average_pool.h"
#include "models/kernels/cuda/blocks.h"
#include "models/kernels/cuda/device_array.h"
#include "models/kernels/max_pool.h"

namespace monsoon {
namespace {

// Windows of more numbers are summed by several threads.
constexpr int64_t kSmallWindow = 32;

struct FloatSum {
  float value = 0;
  MONSOON_ELEMENT void Add(const FloatSum& other) { value += other.value; }
  MONSOON_ELEMENT void Add(float other) { value += other; }
};

template <typename Number>
class CudaAveragePool final : public AveragePoolKernelOf<Number> {
 public:
  CudaAveragePool(const AveragePoolSpec& s, DeviceQueue& queue)
      : s_(s),
        in_(s.in.height, s.in.width, s.block),
        out_(s.in.height / s.height, s.in.width / s.width, s.block),
        outputs_(s.batch * s.in.channels * (s.in.height / s.height) *
                 (s.in.width / s.width)),
        share_(1 / static_cast<float>(s.height * s.width)),
        queue_(CudaQueue::Of(queue)) {}

  void Forward(const Number* x, Number* y) override {
    if (s_.height * s_.width > kSmallWindow) {
      ForwardLarge(x, y);
      return;
    }
    ForIndex(queue_, outputs_,
             [x, y, in = in_, out = out_, height = s_.height, width = s_.width,
              share = share_, line = s_.in.width * s_.block,
              block = s_.block] MONSOON_ELEMENT_LAMBDA(int64_t i) {
               const auto [plane, row, column, lane] = out.Of(i);
               const Number* window =
                   x + in.At({plane, row * height, column * width, lane});
               float sum = 0;
               for (int64_t h = 0; h < height; ++h) {
                 for (int64_t w = 0; w < width; ++w) {
                   sum += static_cast<float>(window[h * line + w * block]);
                 }
               }
               y[i] = static_cast<Number>(sum * share);
             });
  }

  void Backward(const Number* dy, Number* dx) override {
    ForIndex(
        queue_, s_.batch * s_.in.size(),
        [dy, dx, in = in_, out = out_, height = Divisor(s_.height),
         width = Divisor(s_.width), rows = s_.in.height / s_.height,
         columns = s_.in.width / s_.width,
         share = share_] MONSOON_ELEMENT_LAMBDA(int64_t i) {
          const auto place = in.Of(i);
          const int64_t row = height(place.row).quotient;
          const int64_t column = width(place.column).quotient;
          float gradient = 0;
          // Else it belongs to no window.
          if (row < rows && column < columns) {
            const int64_t at = out.At({place.plane, row, column, place.lane});
            gradient = static_cast<float>(dy[at]) * share;
          }
          dx[i] = static_cast<Number>(gradient);
        });
  }

  // Public because a device function cannot lie in a private one.
  void ForwardLarge(const Number* x, Number* y) {
    const auto term =
        [x, in = in_, out = out_, height = s_.height,
         width = Divisor(s_.width)] MONSOON_ELEMENT_LAMBDA(int64_t output,
                                                           int64_t i) {
          const auto [plane, row, column, lane] = out.Of(output);
          const auto at = width(i);
          return static_cast<float>(
              x[in.At({plane, row * height + at.quotient,
                       column * width.value() + at.remainder, lane})]);
        };
    const auto done = [y, share = share_] MONSOON_ELEMENT_LAMBDA(
                          int64_t output, const FloatSum& sum) {
      y[output] = static_cast<Number>(sum.value * share);
    };
    const int64_t window = s_.height * s_.width;
    if (s_.block == 1) {
      ForRows<FloatSum>(queue_, outputs_, window, term, done);
    } else {
      ForNeighbouringRows<FloatSum>(queue_, outputs_, window, term, done);
    }
  }

 private:
  const AveragePoolSpec s_;
  const PlaneOrder in_, out_;
  const int64_t outputs_;
  const float share_;
  CudaQueue& queue_;
};

template <typename Number>
class CudaMaxPool final : public MaxPoolKernelOf<Number> {
 public:
  CudaMaxPool(const MaxPoolSpec& s, DeviceQueue& queue)
      : s_(s),
        in_(s.in.height, s.in.width, s.block),
        out_(s.in.height / s.size, s.in.width / s.size, s.block),
        outputs_(s.batch * s.in.channels * (s.in.height / s.size) *
                 (s.in.width / s.size)),
        queue_(CudaQueue::Of(queue)),
        winner_(outputs_, queue) {}

  void Forward(const Number* x, Number* y) override {
    ForIndex(queue_, outputs_,
             [x, y, winner = winner_.data(), in = in_, out = out_,
              size = s_.size, line = s_.in.width * s_.block,
              block = s_.block] MONSOON_ELEMENT_LAMBDA(int64_t i) {
               const auto [plane, row, column, lane] = out.Of(i);
               const Number* window =
                   x + in.At({plane, row * size, column * size, lane});
               float best = static_cast<float>(window[0]);
               int32_t place = 0, k = 0;
               for (int64_t h = 0; h < size; ++h) {
                 for (int64_t w = 0; w < size; ++w, ++k) {
                   const float candidate =
                       static_cast<float>(window[h * line + w * block]);
                   if (candidate > best) {
                     best = candidate;
                     place = k;
                   }
                 }
               }
               y[i] = static_cast<Number>(best);
               winner[i] = place;
             });
  }

  void Backward(const Number* dy, Number* dx) override {
    const bool drops_edges =
        s_.in.height % s_.size != 0 || s_.in.width % s_.size != 0;
    if (drops_edges) {
      queue_.Zero(
          dx, static_cast<size_t>(s_.batch * s_.in.size()) * sizeof(Number));
    }
    ForIndex(
        queue_, outputs_,
        [dy, dx, winner = winner_.data(), in = in_, out = out_, size = s_.size,
         line = s_.in.width * s_.block,
         block = s_.block] MONSOON_ELEMENT_LAMBDA(int64_t i) {
          const auto [plane, row, column, lane] = out.Of(i);
          Number* window = dx + in.At({plane, row * size, column * size, lane});
          const Number gradient = dy[i];
          const int32_t place = winner[i];
          int32_t k = 0;
          for (int64_t h = 0; h < size; ++h) {
            for (int64_t w = 0; w < size; ++w, ++k) {
              window[h * line + w * block] =
                  k == place ? gradient : Number(0.0f);
            }
          }
        });
  }

 private:
  const MaxPoolSpec s_;
  const PlaneOrder in_, out_;
  const int64_t outputs_;
  CudaQueue& queue_;
  DeviceArray<int32_t> winner_;  // like Y: the place in its window
};

const RegisterKernels<AveragePoolKernelOf, CudaAveragePool> kAverage("cuda");
const RegisterKernels<MaxPoolKernelOf, CudaMaxPool> kMax("cuda");

}  // namespace
}  // namespace monsoon
