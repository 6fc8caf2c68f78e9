// SPDX-License-Identifier: Apache-2.0
// Convolution over cuDNN, with kernels of our own around it: bias, ReLU and
// pooling in one pass, backwards what of dY belongs to which sum. Backward
// relies on what the Forward before it left: the filter as cuDNN wants it, x
// where it was copied, and the winners of the windows.
#include <memory>
#include <type_traits>
#include <utility>

#include "base/bf16.h"
#include "base/status_macros.h"
#include "cuda/launch.h"
#include "models/kernels/conv2d.h"
#include "models/kernels/cuda/channel_bias.h"
#include "models/kernels/cuda/convolution.h"
#include "models/kernels/cuda/tensor_order.h"

namespace monsoon {
namespace {

// y = the largest of sums + b in each window, max(y, 0) where `relu`; the
// winner's place in the window goes to `winners`.
template <typename From, typename To>
void PoolWithBias(CudaQueue& queue, const TensorOrder& whole,
                  const TensorOrder& pooled, int64_t pool, bool relu,
                  const From* sums, const float* b, To* y, int32_t* winners) {
  const Places from(whole), to(pooled);
  const auto size = static_cast<uint32_t>(pool);
  ForIndex(queue, pooled.size(), [=] MONSOON_ELEMENT_LAMBDA(int64_t i) {
    const Places::At at = to.Of(i);
    const float bias = b[at.channel];
    float most = 0;
    int32_t winner = 0;
    for (uint32_t k = 0; k < size * size; ++k) {
      const int64_t place =
          from.IndexOf({at.n, at.channel, at.row * size + k / size,
                        at.column * size + k % size});
      const float value = static_cast<float>(sums[place]) + bias;
      if (k == 0 || value > most) {
        most = value;
        winner = static_cast<int32_t>(k);
      }
    }
    y[i] = static_cast<To>(relu && most <= 0 ? 0 : most);
    winners[i] = winner;
  });
}

// Gives dY to the winners, 0 to all others.
template <typename From, typename To>
void PayWinners(CudaQueue& queue, const TensorOrder& whole,
                const TensorOrder& pooled, int64_t pool, const From* dy,
                const int32_t* winners, To* sums) {
  const Places to(whole), from(pooled);
  const auto size = static_cast<uint32_t>(pool);
  ForIndex(queue, whole.size(), [=] MONSOON_ELEMENT_LAMBDA(int64_t i) {
    const Places::At at = to.Of(i);
    const uint32_t row = at.row / size, column = at.column / size;
    float gradient = 0;
    // Else it belongs to no window.
    if (row < from.height && column < from.width) {
      const int64_t place = from.IndexOf({at.n, at.channel, row, column});
      const uint32_t k = at.row % size * size + at.column % size;
      if (static_cast<uint32_t>(winners[place]) == k) {
        gradient = static_cast<float>(dy[place]);
      }
    }
    sums[i] = static_cast<To>(gradient);
  });
}

template <typename In, typename Out>
class CudaConv2d final : public Conv2dKernelOf<In, Out> {
 public:
  static absl::StatusOr<std::unique_ptr<Conv2dKernelOf<In, Out>>> Make(
      const Conv2dSpec& spec, DeviceQueue& queue) {
    CudaQueue& cuda = CudaQueue::Of(queue);
    ASSIGN_OR_RETURN(auto convolution,
                     CudnnConvolution::Make({.batch = spec.batch,
                                             .x = spec.in,
                                             .y = spec.out,
                                             .kernel = spec.kernel,
                                             .stride = spec.stride,
                                             .padding = spec.padding,
                                             .dilation = spec.dilation,
                                             .groups = spec.groups,
                                             .precision = spec.precision,
                                             .data = spec.input_gradient},
                                            cuda));
    auto made =
        std::make_unique<CudaConv2d>(spec, cuda, std::move(convolution));
    if (!cuda.ok()) return cuda.status();
    return made;
  }

  CudaConv2d(const Conv2dSpec& spec, CudaQueue& queue,
             std::unique_ptr<CudnnConvolution> convolution)
      : queue_(queue),
        pool_(spec.pool),
        relu_(spec.relu),
        convolution_(std::move(convolution)),
        sums_order_(convolution_->y_order()),
        y_order_{spec.batch, spec.pooled(), sums_order_.block,
                 std::is_same_v<Out, Bf16>},
        x_(queue, OutsideOf(spec), convolution_->x_order()),
        dx_(queue, OutsideOf(spec), convolution_->x_order()),
        bias_gradient_(queue, y_order_),
        sums_(HasSums() ? sums_order_.floats() : 0, queue),
        winners_(pool_ > 1 ? y_order_.size() : 0, queue) {}

  int64_t output_block() const override { return y_order_.block; }
  std::string way() const override { return convolution_->way(); }

  void Forward(const In* x, const float* w, const float* b, Out* y) override {
    convolution_->SetFilter(w);
    void* const sums = HasSums() ? static_cast<void*>(sums_.data()) : y;
    convolution_->Forward(x_.Read(x), sums);
    if (pool_ == 1) {
      AddBias(queue_, sums_order_, sums, b, relu_, y);
    } else if (sums_order_.bf16) {
      PoolWithBias(queue_, sums_order_, y_order_, pool_, relu_,
                   static_cast<const Bf16*>(sums), b, y, winners());
    } else {
      PoolWithBias(queue_, sums_order_, y_order_, pool_, relu_,
                   static_cast<const float*>(sums), b, y, winners());
    }
  }

  void Backward(const In* x, const Out* y, const float*, Out* dy, In* dx,
                const TensorSink& dw, const TensorSink& db) override {
    if (relu_) Mask(y, dy);
    bias_gradient_.Sum(dy);
    const void* const sums = GradientOfSums(dy);
    convolution_->BackwardFilter(x_.Reread(x), sums);
    if (dx != nullptr) {
      convolution_->BackwardData(sums, dx_.Write(dx));
      dx_.Finish(dx);
    }
    convolution_->HandOn(dw);
    bias_gradient_.HandOn(db);
  }

  // For kernels alone: they have to be public where CUDA's compiler reads them.

  void Mask(const Out* y, Out* dy) {
    ForIndex(queue_, y_order_.size(),
             [y, dy] MONSOON_ELEMENT_LAMBDA(int64_t i) {
               if (!(static_cast<float>(y[i]) > 0)) dy[i] = Out(0.0f);
             });
  }

 private:
  // Whether cuDNN's sums lie anywhere but in y.
  bool HasSums() const {
    return pool_ > 1 || sums_order_.bf16 != y_order_.bf16;
  }
  static TensorOrder OutsideOf(const Conv2dSpec& spec) {
    return {spec.batch, spec.in, spec.block, std::is_same_v<In, Bf16>};
  }
  int32_t* winners() { return reinterpret_cast<int32_t*>(winners_.data()); }

  const void* GradientOfSums(const Out* dy) {
    if (!HasSums()) return dy;
    if (pool_ == 1) {
      Convert(queue_, y_order_, dy, sums_order_, sums_.data());
    } else if (sums_order_.bf16) {
      PayWinners(queue_, sums_order_, y_order_, pool_, dy, winners(),
                 reinterpret_cast<Bf16*>(sums_.data()));
    } else {
      PayWinners(queue_, sums_order_, y_order_, pool_, dy, winners(),
                 sums_.data());
    }
    return sums_.data();
  }

  CudaQueue& queue_;
  const int64_t pool_;
  const bool relu_;
  const std::unique_ptr<CudnnConvolution> convolution_;
  const TensorOrder sums_order_, y_order_;
  TensorBridge x_, dx_;
  BiasGradient bias_gradient_;
  Flat sums_;     // before bias and pooling, then their gradient
  Flat winners_;  // int32, like Y: the place in its window
};

const RegisterProducts<Conv2dKernelOf, CudaConv2d> kRegistered("cuda");

}  // namespace
}  // namespace monsoon
