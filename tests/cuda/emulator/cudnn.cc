// SPDX-License-Identifier: Apache-2.0
// The functions of cuDNN that we call, in plain loops. Strict as the library
// is documented, and stricter: operands lie at multiples of 16 bytes, as its
// fast kernels want them, and workspaces hold garbage afterwards.
#include "tests/cuda/emulator/cudnn.h"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#include "tests/cuda/emulator/cudnn_descriptors.h"
#include "tests/cuda/emulator/emulator.h"

using monsoon::emulator::Enqueue;

namespace {

constexpr size_t kSmallWorkspace = 1 << 10;

monsoon::emulator::CudnnAbilities& Abilities() {
  static monsoon::emulator::CudnnAbilities abilities;
  return abilities;
}

// `value` with so many bits behind the leading one, to nearest, ties to even.
float Rounded(float value, int bits) {
  if (!std::isfinite(value) || value == 0) return value;
  int exponent;
  std::frexp(value, &exponent);
  const int shift = bits + 1 - exponent;
  return std::ldexp(std::nearbyint(std::ldexp(value, shift)), -shift);
}

float Load(const cudnnTensorStruct& tensor, const void* data, int64_t i,
           cudnnMathType_t math) {
  if (tensor.type == CUDNN_DATA_BFLOAT16) {
    const uint32_t bits = uint32_t{static_cast<const uint16_t*>(data)[i]} << 16;
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
  }
  const float value = static_cast<const float*>(data)[i];
  return math == CUDNN_FMA_MATH ? value : Rounded(value, 10);  // TF32
}

void Store(const cudnnTensorStruct& tensor, void* data, int64_t i,
           float value) {
  if (tensor.type != CUDNN_DATA_BFLOAT16) {
    static_cast<float*>(data)[i] = value;
    return;
  }
  const float rounded = Rounded(value, 7);
  uint32_t bits;
  std::memcpy(&bits, &rounded, sizeof bits);
  static_cast<uint16_t*>(data)[i] = static_cast<uint16_t>(bits >> 16);
}

// Which numbers of x, w and y belong together.
struct Shapes {
  cudnnTensorStruct x, w, y;
  cudnnConvolutionStruct k;

  // Whether they are those of one convolution that cuDNN has.
  bool Fit() const {
    const auto extent = [&](int in, int window) {
      return (in + 2 * k.padding - k.dilation * (window - 1) - 1) / k.stride +
             1;
    };
    return x.size() > 0 && w.size() > 0 && y.size() > 0 && k.stride > 0 &&
           x.type == w.type && x.type == y.type && x.format == w.format &&
           x.format == y.format && x.n == y.n && y.c == w.n &&
           x.c == w.c * k.groups && y.c % k.groups == 0 &&
           y.h == extent(x.h, w.h) && y.w == extent(x.w, w.w);
  }

  // use(i, j, o) for all y[o] += x[i] w[j].
  template <typename Use>
  void EachProduct(const Use& use) const {
    const int outputs = y.c / k.groups;
    for (int n = 0; n < y.n; ++n) {
      for (int o = 0; o < y.c; ++o) {
        for (int at = 0; at < y.h * y.w; ++at) {
          for (int tap = 0; tap < w.h * w.w; ++tap) {
            const int row =
                at / y.w * k.stride - k.padding + tap / w.w * k.dilation;
            const int column =
                at % y.w * k.stride - k.padding + tap % w.w * k.dilation;
            if (row < 0 || row >= x.h || column < 0 || column >= x.w) continue;
            for (int c = 0; c < w.c; ++c) {
              use(x.At(n, o / outputs * w.c + c, row, column),
                  w.At(o, c, tap / w.w, tap % w.w),
                  y.At(n, o, at / y.w, at % y.w));
            }
          }
        }
      }
    }
  }
};

bool IsAligned(const void* data) {
  return data != nullptr && reinterpret_cast<uintptr_t>(data) % 16 == 0;
}

bool Overlap(const void* a, const cudnnTensorStruct& a_shape, const void* b,
             const cudnnTensorStruct& b_shape) {
  const auto bytes = [](const cudnnTensorStruct& t) {
    return static_cast<uintptr_t>(t.size()) *
           (t.type == CUDNN_DATA_BFLOAT16 ? 2 : 4);
  };
  const auto first = reinterpret_cast<uintptr_t>(a);
  const auto second = reinterpret_cast<uintptr_t>(b);
  return first < second + bytes(b_shape) && second < first + bytes(a_shape);
}

// to = alpha * (sum of a b) + beta * to
struct Call {
  cudnnHandle_t handle;
  const void *alpha, *beta;
  cudnnTensorStruct a_shape, b_shape, to_shape;
  const void *a, *b;
  void* to;
  void* workspace;
  size_t workspace_bytes, needed_bytes;
  bool is_first;  // of those that fit and are deterministic
};

std::vector<double> LoadAll(const cudnnTensorStruct& tensor, const void* data,
                            cudnnMathType_t math) {
  std::vector<double> values;
  for (int64_t i = 0; i < tensor.size(); ++i) {
    values.push_back(double{Load(tensor, data, i, math)});
  }
  return values;
}

// each(use) calls use(a, b, to) for all products, by places.
template <typename Each>
cudnnStatus_t Run(const Call& call, const Shapes& shapes, Each each) {
  if (call.handle == nullptr || call.alpha == nullptr || call.beta == nullptr ||
      !shapes.Fit() || !IsAligned(call.a) || !IsAligned(call.b) ||
      !IsAligned(call.to) ||
      Overlap(call.a, call.a_shape, call.to, call.to_shape) ||
      Overlap(call.b, call.b_shape, call.to, call.to_shape) ||
      !IsAligned(call.workspace) || call.workspace_bytes < call.needed_bytes) {
    return CUDNN_STATUS_BAD_PARAM;
  }
  if ((call.is_first && !Abilities().first_runs) ||
      (shapes.x.format == CUDNN_TENSOR_NHWC && !Abilities().nhwc_runs)) {
    return CUDNN_STATUS_NOT_SUPPORTED;
  }
  if (Abilities().loses_gpu) monsoon::emulator::Lose(0);
  if (Abilities().out_of_memory) {
    return CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED;
  }
  const float alpha = *static_cast<const float*>(call.alpha);
  const float beta = *static_cast<const float*>(call.beta);
  const cudnnMathType_t math = shapes.k.math;
  const cudaError_t result =
      Enqueue(call.handle->stream, [call, each, alpha, beta, math] {
        std::memset(call.workspace, 0xff, call.needed_bytes);
        const auto left = LoadAll(call.a_shape, call.a, math);
        const auto right = LoadAll(call.b_shape, call.b, math);
        std::vector<double> sums(static_cast<size_t>(call.to_shape.size()));
        each([&](int64_t a, int64_t b, int64_t to) {
          sums[static_cast<size_t>(to)] +=
              left[static_cast<size_t>(a)] * right[static_cast<size_t>(b)];
        });
        for (size_t i = 0; i < sums.size(); ++i) {
          const auto at = static_cast<int64_t>(i);
          double value = alpha * sums[i];
          if (beta != 0) {
            value += beta * Load(call.to_shape, call.to, at, CUDNN_FMA_MATH);
          }
          Store(call.to_shape, call.to, at, static_cast<float>(value));
        }
      });
  return result == cudaSuccess ? CUDNN_STATUS_SUCCESS
                               : CUDNN_STATUS_EXECUTION_FAILED;
}

// The answers to a question for algorithms: the fastest, which wants too much
// memory, then those that do not repeat themselves or do, the slowest, one that
// cannot.
template <typename Perf, typename Algorithm>
cudnnStatus_t Answer(cudnnHandle_t handle, const Shapes& shapes, int wanted,
                     int* found, Perf* results, Algorithm large,
                     Algorithm random, Algorithm small, Algorithm slow,
                     Algorithm none) {
  if (handle == nullptr || wanted < 1 || found == nullptr ||
      results == nullptr || !shapes.Fit()) {
    return CUDNN_STATUS_BAD_PARAM;
  }
  if (shapes.x.format == CUDNN_TENSOR_NHWC && !Abilities().nhwc) {
    return CUDNN_STATUS_NOT_SUPPORTED;
  }
  const auto determinism =
      Abilities().deterministic ? CUDNN_DETERMINISTIC : CUDNN_NON_DETERMINISTIC;
  const Perf answers[] = {
      {large,
       CUDNN_STATUS_SUCCESS,
       -1,
       Abilities().large_workspace,
       determinism,
       shapes.k.math,
       {}},
      {random,
       CUDNN_STATUS_SUCCESS,
       -1,
       kSmallWorkspace,
       random == small ? determinism : CUDNN_NON_DETERMINISTIC,
       shapes.k.math,
       {}},
      {small,
       CUDNN_STATUS_SUCCESS,
       -1,
       kSmallWorkspace,
       determinism,
       shapes.k.math,
       {}},
      {slow,
       CUDNN_STATUS_SUCCESS,
       -1,
       kSmallWorkspace,
       determinism,
       shapes.k.math,
       {}},
      {none,
       CUDNN_STATUS_NOT_SUPPORTED,
       -1,
       0,
       CUDNN_DETERMINISTIC,
       shapes.k.math,
       {}}};
  *found = 0;
  for (const Perf& answer : answers) {
    if (*found < wanted) results[(*found)++] = answer;
  }
  return CUDNN_STATUS_SUCCESS;
}

constexpr auto kForwardLarge = CUDNN_CONVOLUTION_FWD_ALGO_WINOGRAD_NONFUSED;
constexpr auto kForward = CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM;
constexpr auto kDataLarge = CUDNN_CONVOLUTION_BWD_DATA_ALGO_WINOGRAD_NONFUSED;
constexpr auto kDataRandom = CUDNN_CONVOLUTION_BWD_DATA_ALGO_0;
constexpr auto kData = CUDNN_CONVOLUTION_BWD_DATA_ALGO_1;
constexpr auto kFilterLarge =
    CUDNN_CONVOLUTION_BWD_FILTER_ALGO_WINOGRAD_NONFUSED;
constexpr auto kFilterRandom = CUDNN_CONVOLUTION_BWD_FILTER_ALGO_3;
constexpr auto kFilter = CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1;

template <typename Algorithm>
size_t WorkspaceOf(Algorithm algorithm, Algorithm large) {
  return algorithm == large ? Abilities().large_workspace : kSmallWorkspace;
}

template <typename Algorithm>
cudnnStatus_t TellWorkspace(const Shapes& shapes, Algorithm algorithm,
                            Algorithm large, size_t* bytes) {
  if (bytes == nullptr || !shapes.Fit()) return CUDNN_STATUS_BAD_PARAM;
  *bytes = WorkspaceOf(algorithm, large);
  return CUDNN_STATUS_SUCCESS;
}

}  // namespace

namespace monsoon::emulator {

void SetCudnn(const CudnnAbilities& abilities) { Abilities() = abilities; }

}  // namespace monsoon::emulator

const char* cudnnGetErrorString(cudnnStatus_t status) {
  switch (status) {
    case CUDNN_STATUS_SUCCESS:
      return "CUDNN_STATUS_SUCCESS";
    case CUDNN_STATUS_BAD_PARAM:
      return "CUDNN_STATUS_BAD_PARAM";
    case CUDNN_STATUS_NOT_SUPPORTED:
      return "CUDNN_STATUS_NOT_SUPPORTED";
    default:
      return "an emulated error";
  }
}

cudnnStatus_t cudnnGetConvolutionForwardAlgorithm_v7(
    cudnnHandle_t handle, const cudnnTensorDescriptor_t x,
    const cudnnFilterDescriptor_t w, const cudnnConvolutionDescriptor_t k,
    const cudnnTensorDescriptor_t y, const int wanted, int* found,
    cudnnConvolutionFwdAlgoPerf_t* results) {
  return Answer(handle, {*x, *w, *y, *k}, wanted, found, results, kForwardLarge,
                kForward, kForward, CUDNN_CONVOLUTION_FWD_ALGO_GEMM,
                CUDNN_CONVOLUTION_FWD_ALGO_DIRECT);
}
cudnnStatus_t cudnnGetConvolutionForwardWorkspaceSize(
    cudnnHandle_t, const cudnnTensorDescriptor_t x,
    const cudnnFilterDescriptor_t w, const cudnnConvolutionDescriptor_t k,
    const cudnnTensorDescriptor_t y, cudnnConvolutionFwdAlgo_t algorithm,
    size_t* bytes) {
  return TellWorkspace({*x, *w, *y, *k}, algorithm, kForwardLarge, bytes);
}
cudnnStatus_t cudnnConvolutionForward(
    cudnnHandle_t handle, const void* alpha, const cudnnTensorDescriptor_t x,
    const void* x_data, const cudnnFilterDescriptor_t w, const void* w_data,
    const cudnnConvolutionDescriptor_t k, cudnnConvolutionFwdAlgo_t algorithm,
    void* workspace, size_t bytes, const void* beta,
    const cudnnTensorDescriptor_t y, void* y_data) {
  const Shapes shapes = {*x, *w, *y, *k};
  return Run(
      {handle, alpha, beta, *x, *w, *y, x_data, w_data, y_data, workspace,
       bytes, WorkspaceOf(algorithm, kForwardLarge), algorithm == kForward},
      shapes, [shapes](const auto& use) { shapes.EachProduct(use); });
}

cudnnStatus_t cudnnGetConvolutionBackwardDataAlgorithm_v7(
    cudnnHandle_t handle, const cudnnFilterDescriptor_t w,
    const cudnnTensorDescriptor_t y, const cudnnConvolutionDescriptor_t k,
    const cudnnTensorDescriptor_t x, const int wanted, int* found,
    cudnnConvolutionBwdDataAlgoPerf_t* results) {
  return Answer(handle, {*x, *w, *y, *k}, wanted, found, results, kDataLarge,
                kDataRandom, kData, CUDNN_CONVOLUTION_BWD_DATA_ALGO_FFT_TILING,
                CUDNN_CONVOLUTION_BWD_DATA_ALGO_FFT);
}
cudnnStatus_t cudnnGetConvolutionBackwardDataWorkspaceSize(
    cudnnHandle_t, const cudnnFilterDescriptor_t w,
    const cudnnTensorDescriptor_t y, const cudnnConvolutionDescriptor_t k,
    const cudnnTensorDescriptor_t x, cudnnConvolutionBwdDataAlgo_t algorithm,
    size_t* bytes) {
  return TellWorkspace({*x, *w, *y, *k}, algorithm, kDataLarge, bytes);
}
cudnnStatus_t cudnnConvolutionBackwardData(
    cudnnHandle_t handle, const void* alpha, const cudnnFilterDescriptor_t w,
    const void* w_data, const cudnnTensorDescriptor_t y, const void* y_data,
    const cudnnConvolutionDescriptor_t k,
    cudnnConvolutionBwdDataAlgo_t algorithm, void* workspace, size_t bytes,
    const void* beta, const cudnnTensorDescriptor_t x, void* x_data) {
  const Shapes shapes = {*x, *w, *y, *k};
  return Run(
      {handle, alpha, beta, *w, *y, *x, w_data, y_data, x_data, workspace,
       bytes, WorkspaceOf(algorithm, kDataLarge), algorithm == kData},
      shapes, [shapes](const auto& use) {
        shapes.EachProduct(
            [&](int64_t i, int64_t j, int64_t o) { use(j, o, i); });
      });
}

cudnnStatus_t cudnnGetConvolutionBackwardFilterAlgorithm_v7(
    cudnnHandle_t handle, const cudnnTensorDescriptor_t x,
    const cudnnTensorDescriptor_t y, const cudnnConvolutionDescriptor_t k,
    const cudnnFilterDescriptor_t w, const int wanted, int* found,
    cudnnConvolutionBwdFilterAlgoPerf_t* results) {
  return Answer(handle, {*x, *w, *y, *k}, wanted, found, results, kFilterLarge,
                kFilterRandom, kFilter,
                CUDNN_CONVOLUTION_BWD_FILTER_ALGO_FFT_TILING,
                CUDNN_CONVOLUTION_BWD_FILTER_ALGO_FFT);
}
cudnnStatus_t cudnnGetConvolutionBackwardFilterWorkspaceSize(
    cudnnHandle_t, const cudnnTensorDescriptor_t x,
    const cudnnTensorDescriptor_t y, const cudnnConvolutionDescriptor_t k,
    const cudnnFilterDescriptor_t w, cudnnConvolutionBwdFilterAlgo_t algorithm,
    size_t* bytes) {
  return TellWorkspace({*x, *w, *y, *k}, algorithm, kFilterLarge, bytes);
}
cudnnStatus_t cudnnConvolutionBackwardFilter(
    cudnnHandle_t handle, const void* alpha, const cudnnTensorDescriptor_t x,
    const void* x_data, const cudnnTensorDescriptor_t y, const void* y_data,
    const cudnnConvolutionDescriptor_t k,
    cudnnConvolutionBwdFilterAlgo_t algorithm, void* workspace, size_t bytes,
    const void* beta, const cudnnFilterDescriptor_t w, void* w_data) {
  const Shapes shapes = {*x, *w, *y, *k};
  return Run(
      {handle, alpha, beta, *x, *y, *w, x_data, y_data, w_data, workspace,
       bytes, WorkspaceOf(algorithm, kFilterLarge), algorithm == kFilter},
      shapes, [shapes](const auto& use) {
        shapes.EachProduct(
            [&](int64_t i, int64_t j, int64_t o) { use(i, o, j); });
      });
}
