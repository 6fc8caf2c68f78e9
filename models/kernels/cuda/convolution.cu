// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "models/kernels/cuda/convolution.h"

namespace monsoon {
namespace {

// More than cuDNN has of each kind: it lists some twice.
constexpr int kMostAlgorithms = 24;
constexpr float kOne = 1, kZero = 0;

absl::string_view NameOf(Precision precision) {
  switch (precision) {
    case Precision::kBf16:
      return "bf16";
    case Precision::kTf32:
      return "tf32";
    default:
      return "fp32";
  }
}

std::string NameOf(const CudnnConvolution::Spec& s) {
  return absl::StrCat("a convolution of ", s.x.ToString(), " to ",
                      s.y.ToString(), " (batch ", s.batch, ", window ",
                      s.kernel, "x", s.kernel, ", stride ", s.stride,
                      ", padding ", s.padding, ", dilation ", s.dilation,
                      ", groups ", s.groups, ", ", NameOf(s.precision), ")");
}

const char* NameOf(cudnnConvolutionFwdAlgo_t algorithm) {
  constexpr const char* kNames[] = {"implicit gemm",
                                    "implicit precomputed gemm",
                                    "gemm",
                                    "direct",
                                    "fft",
                                    "tiled fft",
                                    "winograd",
                                    "winograd in "
                                    "steps"};
  return algorithm < CUDNN_CONVOLUTION_FWD_ALGO_COUNT ? kNames[algorithm]
                                                      : "unknown";
}

const char* NameOf(cudnnConvolutionBwdDataAlgo_t algorithm) {
  constexpr const char* kNames[] = {"algorithm 0", "algorithm 1",
                                    "fft",         "tiled fft",
                                    "winograd",    "winograd in steps"};
  return algorithm < CUDNN_CONVOLUTION_BWD_DATA_ALGO_COUNT ? kNames[algorithm]
                                                           : "unknown";
}

const char* NameOf(cudnnConvolutionBwdFilterAlgo_t algorithm) {
  constexpr const char* kNames[] = {
      "algorithm 0", "algorithm 1",       "fft",      "algorithm 3",
      "winograd",    "winograd in steps", "tiled fft"};
  return algorithm < CUDNN_CONVOLUTION_BWD_FILTER_ALGO_COUNT ? kNames[algorithm]
                                                             : "unknown";
}

absl::Status ToStatus(cudnnStatus_t answer, absl::string_view what) {
  if (answer == CUDNN_STATUS_SUCCESS) return absl::OkStatus();
  return absl::UnimplementedError(
      absl::StrCat(what, ": cuDNN answers ", cudnnGetErrorString(answer)));
}

// Of a float32 product cuDNN may use TensorFloat-32 unless told otherwise.
cudnnMathType_t MathOf(Precision precision) {
  switch (precision) {
    case Precision::kBf16:
      return CUDNN_TENSOR_OP_MATH;
    case Precision::kTf32:
      return CUDNN_DEFAULT_MATH;
    default:
      return CUDNN_FMA_MATH;
  }
}

int Int(int64_t value) { return static_cast<int>(value); }

absl::Status CheckSizes(const CudnnConvolution::Spec& s) {
  const int64_t filter =
      s.y.channels * s.x.channels / s.groups * s.kernel * s.kernel;
  const int64_t largest =
      std::max({s.batch * s.x.size(), s.batch * s.y.size(), filter});
  constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
  if (largest <= kMost) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      NameOf(s), " has a tensor of ", largest, " numbers, expected at most ",
      kMost, "; use a smaller batch"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<CudnnConvolution>> CudnnConvolution::Make(
    const Spec& spec, CudaQueue& queue) {
  RETURN_IF_ERROR(CheckSizes(spec));
  if (queue.cudnn() == nullptr || queue.workspace() == nullptr) {
    return queue.status();
  }
  absl::Status first;
  for (const bool channels_inside : {true, false}) {
    std::unique_ptr<CudnnConvolution> made(
        new CudnnConvolution(spec, queue, channels_inside));
    const absl::Status status = made->Prepare();
    if (!queue.ok()) return queue.status();
    if (status.ok()) return made;
    first.Update(status);
  }
  return absl::Status(
      first.code(),
      absl::StrCat(NameOf(spec), ": ", first.message(),
                   "; use other sizes, another precision or --device cpu"));
}

CudnnConvolution::CudnnConvolution(const Spec& spec, CudaQueue& queue,
                                   bool channels_inside)
    : spec_(spec), queue_(queue), channels_inside_(channels_inside) {
  const bool bf16 = spec.precision == Precision::kBf16;
  const auto lie = [&](int64_t batch, const Shape& shape) {
    return TensorOrder{batch, shape, channels_inside ? shape.channels : 1,
                       bf16};
  };
  const Shape window = {spec.x.channels / spec.groups, spec.kernel,
                        spec.kernel};
  x_order_ = lie(spec.batch, spec.x);
  y_order_ = lie(spec.batch, spec.y);
  filter_order_ = lie(spec.y.channels, window);
  plain_order_ = {spec.y.channels, window};
}

absl::Status CudnnConvolution::Prepare() {
  RETURN_IF_ERROR(Describe());
  w_ = Flat(filter_order_.floats(), queue_);
  dw_ = Flat(filter_order_.floats(), queue_);
  plain_dw_ = Flat(plain_order_.floats(), queue_);
  RETURN_IF_ERROR(queue_.status());
  TakeTrialMemory();
  if (spec_.forward) RETURN_IF_ERROR(ChooseForward());
  if (spec_.data) RETURN_IF_ERROR(ChooseData());
  if (spec_.filter) RETURN_IF_ERROR(ChooseFilter());
  trial_x_.reset();
  trial_y_.reset();
  return queue_.status();
}

void CudnnConvolution::TakeTrialMemory() {
  // Not the queue's: that there is none is no failure. Some stays free for what
  // cuDNN loads.
  const auto bytes = [](const TensorOrder& order) {
    return static_cast<size_t>(order.floats()) * sizeof(float);
  };
  const size_t wanted = bytes(x_order_) + bytes(y_order_);
  if (queue_.FreeBytes() <
      static_cast<int64_t>(wanted + CudaQueue::kWorkspaceBytes)) {
    return;
  }
  void *x = nullptr, *y = nullptr;
  if (cudaMalloc(&x, bytes(x_order_)) == cudaSuccess) trial_x_.reset(x);
  if (cudaMalloc(&y, bytes(y_order_)) == cudaSuccess) trial_y_.reset(y);
  cudaGetLastError();  // else the next launch would be blamed
}

template <typename Run>
cudnnStatus_t CudnnConvolution::Try(Run run) {
  if (trial_x_ == nullptr || trial_y_ == nullptr) return CUDNN_STATUS_SUCCESS;
  const cudnnStatus_t answer = run();
  // What failed here may be tried in another way, but for want of memory.
  const cudaError_t left = cudaGetLastError();
  if (left == cudaErrorMemoryAllocation ||
      answer == CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED ||
      answer == CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED) {
    queue_.Check(cudaErrorMemoryAllocation, "trying a convolution");
  }
  // Says whether the GPU is lost.
  return queue_.Wait().ok() ? answer : CUDNN_STATUS_EXECUTION_FAILED;
}

absl::Status CudnnConvolution::Describe() {
  RETURN_IF_ERROR(Describe(x_, x_order_));
  RETURN_IF_ERROR(Describe(y_, y_order_));
  cudnnFilterDescriptor_t filter = nullptr;
  RETURN_IF_ERROR(
      ToStatus(cudnnCreateFilterDescriptor(&filter), "describing the filter"));
  filter_.reset(filter);
  const Shape& window = filter_order_.shape;
  return ToStatus(
      cudnnSetFilter4dDescriptor(filter, type(), format(),
                                 Int(filter_order_.batch), Int(window.channels),
                                 Int(window.height), Int(window.width)),
      "describing the filter");
}

absl::Status CudnnConvolution::Describe(
    Descriptor<cudnnTensorDescriptor_t>& made, const TensorOrder& order) {
  cudnnTensorDescriptor_t tensor = nullptr;
  RETURN_IF_ERROR(
      ToStatus(cudnnCreateTensorDescriptor(&tensor), "describing a tensor"));
  made.reset(tensor);
  return ToStatus(
      cudnnSetTensor4dDescriptor(
          tensor, format(), type(), Int(order.batch), Int(order.shape.channels),
          Int(order.shape.height), Int(order.shape.width)),
      "describing a tensor");
}

absl::Status CudnnConvolution::Describe(
    Descriptor<cudnnConvolutionDescriptor_t>& made) {
  constexpr const char* kWhat = "describing the window";
  cudnnConvolutionDescriptor_t convolution = nullptr;
  RETURN_IF_ERROR(
      ToStatus(cudnnCreateConvolutionDescriptor(&convolution), kWhat));
  made.reset(convolution);
  const int padding = Int(spec_.padding), stride = Int(spec_.stride),
            dilation = Int(spec_.dilation);
  RETURN_IF_ERROR(
      ToStatus(cudnnSetConvolution2dDescriptor(
                   convolution, padding, padding, stride, stride, dilation,
                   dilation, CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT),
               kWhat));
  RETURN_IF_ERROR(ToStatus(
      cudnnSetConvolutionGroupCount(convolution, Int(spec_.groups)), kWhat));
  return ToStatus(
      cudnnSetConvolutionMathType(convolution, MathOf(spec_.precision)), kWhat);
}

template <typename Perf, typename Algo, typename Ask, typename Measure,
          typename Run>
absl::Status CudnnConvolution::Choose(absl::string_view what,
                                      Product<Algo>& product, Ask ask,
                                      Measure measure, Run run) {
  RETURN_IF_ERROR(Describe(product.convolution));
  Perf results[kMostAlgorithms];
  int found = 0;
  RETURN_IF_ERROR(ToStatus(ask(kMostAlgorithms, &found, results), what));
  cudnnStatus_t worst = CUDNN_STATUS_NOT_SUPPORTED;
  for (int i = 0; i < found; ++i) {
    const Perf& result = results[i];
    if (result.status != CUDNN_STATUS_SUCCESS) {
      worst = result.status;
      continue;
    }
    if (result.determinism != CUDNN_DETERMINISTIC) continue;
    // An algorithm wants the arithmetic that it is listed with; float32 is
    // not to become less for that.
    if (spec_.precision != Precision::kFp32) {
      cudnnSetConvolutionMathType(product.convolution.get(), result.mathType);
    }
    size_t bytes = 0;
    if (measure(result.algo, &bytes) != CUDNN_STATUS_SUCCESS) continue;
    if (!queue_.GrowWorkspace(bytes)) continue;
    product.algorithm = result.algo;
    product.workspace_bytes = bytes;
    const cudnnStatus_t tried = Try(run);
    RETURN_IF_ERROR(queue_.status());
    if (tried == CUDNN_STATUS_SUCCESS) return absl::OkStatus();
    worst = tried;
  }
  return absl::UnimplementedError(
      absl::StrCat(what, ": none of cuDNN's ", found,
                   " algorithms runs and is deterministic within ",
                   CudaQueue::kMostWorkspaceBytes >> 20,
                   " MiB of scratch memory, or a quarter of what is free (of "
                   "one it says ",
                   cudnnGetErrorString(worst), ")"));
}

absl::Status CudnnConvolution::ChooseForward() {
  return Choose<cudnnConvolutionFwdAlgoPerf_t>(
      "its forward product", forward_,
      [&](int most, int* found, cudnnConvolutionFwdAlgoPerf_t* results) {
        return cudnnGetConvolutionForwardAlgorithm_v7(
            queue_.cudnn(), x_.get(), filter_.get(), forward_.convolution.get(),
            y_.get(), most, found, results);
      },
      [&](cudnnConvolutionFwdAlgo_t algorithm, size_t* bytes) {
        return cudnnGetConvolutionForwardWorkspaceSize(
            queue_.cudnn(), x_.get(), filter_.get(), forward_.convolution.get(),
            y_.get(), algorithm, bytes);
      },
      [&] { return RunForward(trial_x_.get(), trial_y_.get()); });
}

absl::Status CudnnConvolution::ChooseData() {
  return Choose<cudnnConvolutionBwdDataAlgoPerf_t>(
      "its product backwards", data_,
      [&](int most, int* found, cudnnConvolutionBwdDataAlgoPerf_t* results) {
        return cudnnGetConvolutionBackwardDataAlgorithm_v7(
            queue_.cudnn(), filter_.get(), y_.get(), data_.convolution.get(),
            x_.get(), most, found, results);
      },
      [&](cudnnConvolutionBwdDataAlgo_t algorithm, size_t* bytes) {
        return cudnnGetConvolutionBackwardDataWorkspaceSize(
            queue_.cudnn(), filter_.get(), y_.get(), data_.convolution.get(),
            x_.get(), algorithm, bytes);
      },
      [&] { return RunData(trial_y_.get(), trial_x_.get()); });
}

absl::Status CudnnConvolution::ChooseFilter() {
  return Choose<cudnnConvolutionBwdFilterAlgoPerf_t>(
      "the gradient of its weights", weights_,
      [&](int most, int* found, cudnnConvolutionBwdFilterAlgoPerf_t* results) {
        return cudnnGetConvolutionBackwardFilterAlgorithm_v7(
            queue_.cudnn(), x_.get(), y_.get(), weights_.convolution.get(),
            filter_.get(), most, found, results);
      },
      [&](cudnnConvolutionBwdFilterAlgo_t algorithm, size_t* bytes) {
        return cudnnGetConvolutionBackwardFilterWorkspaceSize(
            queue_.cudnn(), x_.get(), y_.get(), weights_.convolution.get(),
            filter_.get(), algorithm, bytes);
      },
      [&] { return RunFilter(trial_x_.get(), trial_y_.get()); });
}

std::string CudnnConvolution::way() const {
  std::string way = absl::StrCat("cuDNN ", NameOf(spec_.precision),
                                 channels_inside_ ? " NHWC" : " NCHW");
  if (spec_.forward) {
    absl::StrAppend(&way, ", forward ", NameOf(forward_.algorithm));
  }
  if (spec_.data) {
    absl::StrAppend(&way, ", backward data ", NameOf(data_.algorithm));
  }
  if (spec_.filter) {
    absl::StrAppend(&way, ", backward filter ", NameOf(weights_.algorithm));
  }
  return way;
}

void CudnnConvolution::SetFilter(const float* w) {
  Convert(queue_, plain_order_, w, filter_order_, w_.data());
}

cudnnStatus_t CudnnConvolution::RunForward(const void* x, void* y) {
  return cudnnConvolutionForward(
      queue_.cudnn(), &kOne, x_.get(), x, filter_.get(), w_.data(),
      forward_.convolution.get(), forward_.algorithm, queue_.workspace(),
      forward_.workspace_bytes, &kZero, y_.get(), y);
}

cudnnStatus_t CudnnConvolution::RunData(const void* dy, void* dx) {
  return cudnnConvolutionBackwardData(
      queue_.cudnn(), &kOne, filter_.get(), w_.data(), y_.get(), dy,
      data_.convolution.get(), data_.algorithm, queue_.workspace(),
      data_.workspace_bytes, &kZero, x_.get(), dx);
}

cudnnStatus_t CudnnConvolution::RunFilter(const void* x, const void* dy) {
  return cudnnConvolutionBackwardFilter(
      queue_.cudnn(), &kOne, x_.get(), x, y_.get(), dy,
      weights_.convolution.get(), weights_.algorithm, queue_.workspace(),
      weights_.workspace_bytes, &kZero, filter_.get(), dw_.data());
}

void CudnnConvolution::Forward(const void* x, void* y) {
  if (!queue_.Enter()) return;
  queue_.Check(RunForward(x, y), "a convolution");
}

void CudnnConvolution::BackwardData(const void* dy, void* dx) {
  if (!queue_.Enter()) return;
  queue_.Check(RunData(dy, dx), "a convolution backwards");
}

void CudnnConvolution::BackwardFilter(const void* x, const void* dy) {
  if (!queue_.Enter()) return;
  queue_.Check(RunFilter(x, dy), "the gradient of a convolution's weights");
  Convert(queue_, filter_order_, dw_.data(), plain_order_, plain_dw_.data());
}

void CudnnConvolution::HandOn(const TensorSink& dw) {
  dw.Take(plain_dw_.data(), plain_dw_.size());
}

}  // namespace monsoon
