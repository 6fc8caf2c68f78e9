// SPDX-License-Identifier: Apache-2.0
// Transposed convolution over cuDNN: the convolution from Y's channels to X's,
// whose gradient of the input is what goes forward here. Backward relies on the
// Forward before it, as in conv2d.cu.
#include <memory>
#include <type_traits>
#include <utility>

#include "base/status_macros.h"
#include "models/kernels/conv_transpose2d.h"
#include "models/kernels/cuda/channel_bias.h"
#include "models/kernels/cuda/convolution.h"
#include "models/kernels/cuda/tensor_order.h"

namespace monsoon {
namespace {

template <typename In, typename Out>
class CudaConvTranspose2d final : public ConvTranspose2dKernelOf<In, Out> {
 public:
  static absl::StatusOr<std::unique_ptr<ConvTranspose2dKernelOf<In, Out>>> Make(
      const ConvTranspose2dSpec& spec, DeviceQueue& queue) {
    CudaQueue& cuda = CudaQueue::Of(queue);
    ASSIGN_OR_RETURN(auto convolution,
                     CudnnConvolution::Make({.batch = spec.batch,
                                             .x = spec.out,
                                             .y = spec.in,
                                             .kernel = spec.kernel,
                                             .stride = spec.stride,
                                             .padding = spec.padding,
                                             .precision = spec.precision,
                                             .forward = spec.input_gradient},
                                            cuda));
    auto made = std::make_unique<CudaConvTranspose2d>(spec, cuda,
                                                      std::move(convolution));
    if (!cuda.ok()) return cuda.status();
    return made;
  }

  CudaConvTranspose2d(const ConvTranspose2dSpec& spec, CudaQueue& queue,
                      std::unique_ptr<CudnnConvolution> convolution)
      : queue_(queue),
        convolution_(std::move(convolution)),
        sums_order_(convolution_->x_order()),
        y_order_{spec.batch, spec.out, sums_order_.block,
                 std::is_same_v<Out, Bf16>},
        x_(queue, OutsideOf(spec), convolution_->y_order()),
        dx_(queue, OutsideOf(spec), convolution_->y_order()),
        y_(queue, y_order_, sums_order_),
        bias_gradient_(queue, y_order_) {}

  int64_t output_block() const override { return y_order_.block; }

  void Forward(const In* x, const float* w, const float* b, Out* y) override {
    convolution_->SetFilter(w);
    void* const sums = y_.Write(y);
    convolution_->BackwardData(x_.Read(x), sums);
    AddBias(queue_, sums_order_, sums, b, /*relu=*/false, y);
  }

  void Backward(const In* x, const Out*, const float*, const Out* dy, In* dx,
                const TensorSink& dw, const TensorSink& db) override {
    bias_gradient_.Sum(dy);
    const void* const gradient = y_.Read(dy);
    convolution_->BackwardFilter(gradient, x_.Reread(x));
    if (dx != nullptr) {
      convolution_->Forward(gradient, dx_.Write(dx));
      dx_.Finish(dx);
    }
    convolution_->HandOn(dw);
    bias_gradient_.HandOn(db);
  }

 private:
  static TensorOrder OutsideOf(const ConvTranspose2dSpec& spec) {
    return {spec.batch, spec.in, spec.block, std::is_same_v<In, Bf16>};
  }

  CudaQueue& queue_;
  const std::unique_ptr<CudnnConvolution> convolution_;
  const TensorOrder sums_order_, y_order_;
  TensorBridge x_, dx_, y_;
  BiasGradient bias_gradient_;
};

const RegisterProducts<ConvTranspose2dKernelOf, CudaConvTranspose2d>
    kRegistered("cuda");

}  // namespace
}  // namespace monsoon
