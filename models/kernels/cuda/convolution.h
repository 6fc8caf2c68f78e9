// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cudnn.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <type_traits>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/flat.h"
#include "cuda/cuda_queue.h"
#include "models/kernels/cuda/tensor_order.h"
#include "models/kernels/tensor_sink.h"
#include "models/precision.h"
#include "models/shape.h"

namespace monsoon {

// The three products of a convolution by cuDNN: from X [N,C,H,W] to Y
// [N,O,H',W'] with a filter [O,C/G,K,K], and what they do to gradients. A
// transposed convolution is the same with other roles (conv_transpose2d.cu).
//
// Algorithms are those that cuDNN expects to be fast, not measured, so that a
// run repeated has the same bits; all are deterministic. Each is run once
// before it is relied on, where there is memory for that: cuDNN may list what
// it then refuses. fp32 multiplies in float32 as it is. Departs: cuDNN rounds
// to bfloat16 what a product of bfloat16 numbers writes, before bias and scale.
class CudnnConvolution {
 public:
  struct Spec {
    int64_t batch;
    Shape x, y;
    int64_t kernel, stride, padding;
    int64_t dilation = 1, groups = 1;
    Precision precision = Precision::kFp32;
    // Which products will be asked for.
    bool forward = true, data = true, filter = true;
  };

  // UNIMPLEMENTED where cuDNN cannot, in either order of channels.
  static absl::StatusOr<std::unique_ptr<CudnnConvolution>> Make(
      const Spec& spec, CudaQueue& queue);

  // How X and Y lie: both with channels inside, or both with channels outside.
  const TensorOrder& x_order() const { return x_order_; }
  const TensorOrder& y_order() const { return y_order_; }
  // Orders and algorithms: for people.
  std::string way() const;

  // All pointers are of the device, at multiples of 16 bytes, X and Y as they
  // lie here; `w` is at any float, row-major float32.

  // What the two below multiply with from now on.
  void SetFilter(const float* w);
  void Forward(const void* x, void* y);
  void BackwardData(const void* dy, void* dx);
  // To memory of its own, which HandOn gives away.
  void BackwardFilter(const void* x, const void* dy);
  void HandOn(const TensorSink& dw);

 private:
  struct Destroy {
    void operator()(cudnnTensorDescriptor_t d) const {
      cudnnDestroyTensorDescriptor(d);
    }
    void operator()(cudnnFilterDescriptor_t d) const {
      cudnnDestroyFilterDescriptor(d);
    }
    void operator()(cudnnConvolutionDescriptor_t d) const {
      cudnnDestroyConvolutionDescriptor(d);
    }
  };
  struct Free {
    void operator()(void* memory) const { cudaFree(memory); }
  };
  template <typename Handle>
  using Descriptor = std::unique_ptr<std::remove_pointer_t<Handle>, Destroy>;
  // One of the three, with the sort of arithmetic that its algorithm wants.
  template <typename Algo>
  struct Product {
    Descriptor<cudnnConvolutionDescriptor_t> convolution;
    Algo algorithm = {};
    size_t workspace_bytes = 0;
  };

  CudnnConvolution(const Spec& spec, CudaQueue& queue, bool channels_inside);

  absl::Status Prepare();
  absl::Status Describe();
  absl::Status Describe(Descriptor<cudnnTensorDescriptor_t>& made,
                        const TensorOrder& order);
  absl::Status Describe(Descriptor<cudnnConvolutionDescriptor_t>& made);
  absl::Status ChooseForward();
  absl::Status ChooseData();
  absl::Status ChooseFilter();
  // ask(most, &found, results) and measure(algorithm, &bytes) are cuDNN's;
  // run() enqueues what was chosen.
  template <typename Perf, typename Algo, typename Ask, typename Measure,
            typename Run>
  absl::Status Choose(absl::string_view what, Product<Algo>& product, Ask ask,
                      Measure measure, Run run);
  void TakeTrialMemory();
  // cuDNN's answer to a product that is done now. The queue has failed where
  // the GPU is lost or has no memory.
  template <typename Run>
  cudnnStatus_t Try(Run run);
  // Enqueue, and say what cuDNN answers.
  cudnnStatus_t RunForward(const void* x, void* y);
  cudnnStatus_t RunData(const void* dy, void* dx);
  cudnnStatus_t RunFilter(const void* x, const void* dy);
  cudnnTensorFormat_t format() const {
    return channels_inside_ ? CUDNN_TENSOR_NHWC : CUDNN_TENSOR_NCHW;
  }
  cudnnDataType_t type() const {
    return x_order_.bf16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT;
  }

  const Spec spec_;
  CudaQueue& queue_;
  const bool channels_inside_;
  TensorOrder x_order_, y_order_, filter_order_, plain_order_;
  Descriptor<cudnnTensorDescriptor_t> x_, y_;
  Descriptor<cudnnFilterDescriptor_t> filter_;
  Product<cudnnConvolutionFwdAlgo_t> forward_;
  Product<cudnnConvolutionBwdDataAlgo_t> data_;
  Product<cudnnConvolutionBwdFilterAlgo_t> weights_;
  // An X and a Y to try products on, null where there is no memory for them.
  std::unique_ptr<void, Free> trial_x_, trial_y_;
  Flat w_, dw_;    // as cuDNN wants them
  Flat plain_dw_;  // row-major
};

}  // namespace monsoon
