// SPDX-License-Identifier: Apache-2.0
// What convolutions do beside computing: memory, recordings, which algorithms,
// what is refused.
#include <cudnn.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cuda/cuda.h"
#include "cuda/cuda_queue.h"
#include "models/kernels/conv2d.h"
#include "models/kernels/conv_transpose2d.h"
#include "tests/cuda/convolution_check.h"
#include "tests/cuda/emulator/cudnn.h"
#include "tests/cuda/emulator/emulator.h"
#include "tests/models/numbers.h"

namespace monsoon {
namespace {

using Catch::Matchers::Contains;
using Catch::Matchers::EndsWith;

constexpr Precision kPrecisions[] = {Precision::kFp32, Precision::kTf32,
                                     Precision::kBf16};

Conv2dKernel::Spec Pooled(Precision precision) {
  return {.batch = 2,
          .in = {8, 9, 7},
          .out = {6, 7, 5},
          .block = 1,
          .kernel = 3,
          .stride = 1,
          .padding = 0,
          .pool = 2,
          .relu = true,
          .precision = precision};
}

ConvTranspose2dKernel::Spec Transposed(Precision precision) {
  return {.batch = 2,
          .in = {8, 3, 4},
          .out = {5, 6, 8},
          .block = 4,
          .kernel = 2,
          .stride = 2,
          .padding = 0,
          .precision = precision};
}

// A kernel with memory of its own and everything that a training step does.
template <typename Kernel>
struct Step {
  Step(DeviceQueue& queue, const typename Kernel::Spec& spec, int64_t window,
       int64_t outputs)
      : kernel(*MakeKernel<Kernel>({&queue}, spec)),
        x(OnDevice({&queue}, Draw(spec.batch * spec.in.size(), 1))),
        w(OnDevice({&queue}, Draw(window + spec.out.channels, 2))),
        y(spec.batch * outputs, queue),
        dy(OnDevice({&queue}, Draw(y.size(), 3))),
        dx(x.size(), queue),
        weights(window) {}

  // Trains: the sink is the weights.
  void Run() {
    kernel->Forward(x.data(), w.data(), w.data() + weights, y.data());
    const GradientSink sink = {w, -0.125f, 1};
    kernel->Backward(x.data(), y.data(), w.data(), dy.data(), dx.data(),
                     {sink, 0}, {sink, weights});
  }

  std::unique_ptr<Kernel> kernel;
  Flat x, w, y, dy, dx;
  int64_t weights;  // numbers of w before the bias
};

Step<Conv2dKernel> PooledStep(DeviceQueue& queue, Precision precision) {
  const Conv2dKernel::Spec spec = Pooled(precision);
  return {queue, spec, 6 * 8 * 9, spec.pooled().size()};
}

Step<ConvTranspose2dKernel> TransposedStep(DeviceQueue& queue,
                                           Precision precision) {
  const ConvTranspose2dKernel::Spec spec = Transposed(precision);
  return {queue, spec, 8 * 5 * 4, spec.out.size()};
}

std::vector<float> Numbers(const Flat& flat) {
  const Flat host = flat.ToHost();
  return {host.data(), host.data() + host.size()};
}

// Three steps directly, and one recorded and replayed thrice.
template <typename Kernel>
void CheckRecording(std::function<Step<Kernel>(DeviceQueue&, Precision)> make) {
  for (const Precision precision : kPrecisions) {
    const auto queue = *MakeCudaQueue(0);
    Step<Kernel> direct = make(*queue, precision),
                 replayed = make(*queue, precision);
    const std::vector<float> before = Numbers(direct.w);
    const auto recording = queue->Record([&] { replayed.Run(); });
    REQUIRE(recording.ok());
    for (int i = 0; i < 3; ++i) {
      direct.Run();
      queue->Replay(**recording);
    }
    REQUIRE(queue->Wait().ok());
    CHECK(Numbers(direct.w) != before);
    CHECK(Numbers(direct.w) == Numbers(replayed.w));
    CHECK(Numbers(direct.y) == Numbers(replayed.y));
    CHECK(Numbers(direct.dx) == Numbers(replayed.dx));
  }
}

TEST_CASE("A recorded convolution computes what a direct one computes",
          "[cuda]") {
  CheckRecording<Conv2dKernel>(&PooledStep);
  CheckRecording<ConvTranspose2dKernel>(&TransposedStep);
}

template <typename Kernel>
void CheckQuiet(std::function<Step<Kernel>(DeviceQueue&, Precision)> make) {
  for (const Precision precision : kPrecisions) {
    const auto queue = *MakeCudaQueue(0);
    Step<Kernel> step = make(*queue, precision);
    const emulator::Counters before = emulator::counters();
    step.Run();
    step.Run();
    CHECK(emulator::counters().allocations == before.allocations);
    CHECK(emulator::counters().waits == before.waits);
    CHECK(queue->Wait().ok());
  }
}

TEST_CASE("A convolution takes no memory and does not wait while it runs",
          "[cuda]") {
  CheckQuiet<Conv2dKernel>(&PooledStep);
  CheckQuiet<ConvTranspose2dKernel>(&TransposedStep);
}

TEST_CASE("A convolution's algorithms are deterministic and fit their memory",
          "[cuda]") {
  const auto queue = *MakeCudaQueue(0);
  Conv2dKernel::Spec spec = Pooled(Precision::kTf32);
  CHECK((*MakeKernel<Conv2dKernel>({queue.get()}, spec))->way() ==
        "cuDNN tf32 NHWC, forward implicit precomputed gemm, backward data "
        "algorithm 1, backward filter algorithm 1");
  spec.input_gradient = false;
  CHECK((*MakeKernel<Conv2dKernel>({queue.get()}, spec))->way() ==
        "cuDNN tf32 NHWC, forward implicit precomputed gemm, backward filter "
        "algorithm 1");
}

TEST_CASE("Scratch memory grows for a fast algorithm where there is room",
          "[cuda]") {
  emulator::SetCudnn({.large_workspace = size_t{96} << 20});
  const Conv2dKernel::Spec spec = Pooled(Precision::kFp32);
  emulator::SetMemory(size_t{400} << 20);  // of which a quarter is less
  {
    const auto queue = *MakeCudaQueue(0);
    CHECK_THAT((*MakeKernel<Conv2dKernel>({queue.get()}, spec))->way(),
               Contains("forward implicit precomputed gemm"));
  }
  emulator::SetMemory(size_t{1} << 30);
  {
    const auto queue = *MakeCudaQueue(0);
    emulator::SetCudnn({});
    Step<Conv2dKernel> direct = PooledStep(*queue, Precision::kFp32),
                       replayed = PooledStep(*queue, Precision::kFp32);
    const auto recording = queue->Record([&] { replayed.Run(); });
    REQUIRE(recording.ok());
    emulator::SetCudnn({.large_workspace = size_t{96} << 20});
    CHECK_THAT((*MakeKernel<Conv2dKernel>({queue.get()}, spec))->way(),
               EndsWith("forward winograd in steps, backward data winograd in "
                        "steps, backward filter winograd in steps"));
    CheckConvolution({queue.get()}, spec);
    // What was recorded before uses the memory that it was recorded with.
    direct.Run();
    queue->Replay(**recording);
    REQUIRE(queue->Wait().ok());
    CHECK(Numbers(direct.w) == Numbers(replayed.w));
  }
  emulator::SetCudnn({});
  emulator::Reset();
}

TEST_CASE("TensorFloat-32 is used where it is asked for, and there alone",
          "[cuda]") {
  const auto queue = *MakeCudaQueue(0);
  auto exact = PooledStep(*queue, Precision::kFp32);
  auto rounded = PooledStep(*queue, Precision::kTf32);
  exact.Run();
  rounded.Run();
  const std::vector<float> a = Numbers(exact.y), b = Numbers(rounded.y);
  double most = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    most = std::max(most, std::abs(double{a[i]} - double{b[i]}));
  }
  CHECK(most > 1e-5);
  // 72 products below 1, each of two numbers that are rounded by 2^-11.
  CHECK(most < 72.0 / 1024);
}

TEST_CASE("A convolution that cuDNN has in plain order alone", "[cuda]") {
  const auto queue = *MakeCudaQueue(0);
  emulator::SetCudnn({.nhwc = false});
  for (const Precision precision : kPrecisions) {
    for (const int64_t block : {1, 4, 8}) {
      for (const int64_t pool : {1, 2}) {
        Conv2dKernel::Spec spec = Pooled(precision);
        spec.block = block;
        spec.pool = pool;
        const auto kernel = *MakeKernel<Conv2dKernel>({queue.get()}, spec);
        CHECK(kernel->output_block() == 1);
        CHECK(kernel->way().find("NCHW") != std::string::npos);
        CheckConvolution({queue.get()}, spec);
        if (precision == Precision::kBf16) {
          CheckBf16Convolution({queue.get()}, spec);
        }
      }
    }
  }
  emulator::SetCudnn({});
}

TEST_CASE("Where an algorithm does not run, the next is taken", "[cuda]") {
  const auto queue = *MakeCudaQueue(0);
  for (const Precision precision : kPrecisions) {
    const Conv2dKernel::Spec spec = Pooled(precision);
    emulator::SetCudnn({.first_runs = false});
    const auto kernel = *MakeKernel<Conv2dKernel>({queue.get()}, spec);
    CHECK_THAT(kernel->way(),
               EndsWith(" NHWC, forward gemm, backward data tiled fft, "
                        "backward filter tiled fft"));
    CheckConvolution({queue.get()}, spec);
    if (precision == Precision::kBf16) {
      CheckBf16Convolution({queue.get()}, spec);
    }
    emulator::SetCudnn({.nhwc_runs = false});
    const auto plain = *MakeKernel<Conv2dKernel>({queue.get()}, spec);
    CHECK(plain->output_block() == 1);
    CheckConvolution({queue.get()}, spec);
  }
  emulator::SetCudnn({.first_runs = false, .nhwc_runs = false});
  CheckRecording<ConvTranspose2dKernel>(&TransposedStep);
  emulator::SetCudnn({});
  CHECK(queue->Wait().ok());
}

TEST_CASE("A convolution without memory to be tried is made", "[cuda]") {
  const auto queue = *MakeCudaQueue(0);
  REQUIRE(CudaQueue::Of(*queue).workspace() != nullptr);
  emulator::SetMemory(CudaQueue::kWorkspaceBytes + (1 << 20));
  emulator::SetCudnn({.first_runs = false});
  const auto made =
      MakeKernel<Conv2dKernel>({queue.get()}, Pooled(Precision::kFp32));
  emulator::SetCudnn({});
  REQUIRE(made.ok());
  CHECK_THAT((*made)->way(), Contains("forward implicit precomputed gemm"));
  CHECK(queue->Wait().ok());
  emulator::Reset();
}

TEST_CASE("A trial of a convolution hides no failure of the GPU", "[cuda]") {
  const auto fail = [](const emulator::CudnnAbilities& abilities) {
    const auto queue = *MakeCudaQueue(0);
    emulator::SetCudnn(abilities);
    const auto made =
        MakeKernel<Conv2dKernel>({queue.get()}, Pooled(Precision::kFp32));
    emulator::SetCudnn({});
    CHECK(queue->status() == made.status());
    return made.status().code();
  };
  CHECK(fail({.out_of_memory = true}) == absl::StatusCode::kResourceExhausted);
  CHECK(fail({.loses_gpu = true}) == absl::StatusCode::kUnavailable);
  emulator::Reset();
}

TEST_CASE("What cuDNN cannot do is refused with its answer", "[cuda]") {
  const auto queue = *MakeCudaQueue(0);
  emulator::SetCudnn({.deterministic = false});
  const auto made =
      MakeKernel<Conv2dKernel>({queue.get()}, Pooled(Precision::kBf16));
  emulator::SetCudnn({});
  CHECK(made.status().code() == absl::StatusCode::kUnimplemented);
  CHECK(made.status().message() ==
        "a convolution of 8x9x7 to 6x7x5 (batch 2, window 3x3, stride 1, "
        "padding 0, dilation 1, groups 1, bf16): its forward product: none of "
        "cuDNN's 5 algorithms runs and is deterministic within 1024 MiB of "
        "scratch memory, or a quarter of what is free (of one it says "
        "CUDNN_STATUS_NOT_SUPPORTED); use other sizes, another precision or "
        "--device cpu");
  CHECK(queue->Wait().ok());
}

TEST_CASE("A convolution larger than cuDNN counts is refused", "[cuda]") {
  const auto queue = *MakeCudaQueue(0);
  Conv2dKernel::Spec spec = Pooled(Precision::kFp32);
  spec.batch = int64_t{1} << 30;
  const auto made = MakeKernel<Conv2dKernel>({queue.get()}, spec);
  CHECK(made.status().code() == absl::StatusCode::kInvalidArgument);
  CHECK(made.status().message().find(
            "has a tensor of 541165879296 numbers, expected at most "
            "2147483647; use a smaller batch") != std::string::npos);
}

TEST_CASE("A convolution without memory says so", "[cuda]") {
  const auto queue = *MakeCudaQueue(0);
  REQUIRE(CudaQueue::Of(*queue).workspace() != nullptr);
  emulator::SetMemory(CudaQueue::kWorkspaceBytes + 4096);
  const auto made =
      MakeKernel<Conv2dKernel>({queue.get()}, Pooled(Precision::kFp32));
  emulator::Reset();
  CHECK(made.status().code() == absl::StatusCode::kResourceExhausted);
}

TEST_CASE("The emulated cuDNN refuses what the library refuses", "[cuda]") {
  const auto made = *MakeCudaQueue(0);
  CudaQueue& queue = CudaQueue::Of(*made);
  cudnnTensorDescriptor_t x = nullptr, y = nullptr, half = nullptr;
  cudnnFilterDescriptor_t w = nullptr;
  cudnnConvolutionDescriptor_t k = nullptr;
  cudnnCreateTensorDescriptor(&x);
  cudnnCreateTensorDescriptor(&y);
  cudnnCreateTensorDescriptor(&half);
  cudnnCreateFilterDescriptor(&w);
  cudnnCreateConvolutionDescriptor(&k);
  const auto set = [](cudnnTensorDescriptor_t tensor, cudnnDataType_t type,
                      int size) {
    return cudnnSetTensor4dDescriptor(tensor, CUDNN_TENSOR_NHWC, type, 1, 4,
                                      size, size);
  };
  CHECK(set(x, CUDNN_DATA_FLOAT, 0) == CUDNN_STATUS_BAD_PARAM);
  CHECK(set(x, CUDNN_DATA_FLOAT, 5) == CUDNN_STATUS_SUCCESS);
  set(y, CUDNN_DATA_FLOAT, 3);
  set(half, CUDNN_DATA_BFLOAT16, 3);
  cudnnSetFilter4dDescriptor(w, CUDNN_DATA_FLOAT, CUDNN_TENSOR_NHWC, 4, 4, 3,
                             3);
  cudnnSetConvolution2dDescriptor(k, 0, 0, 1, 1, 1, 1, CUDNN_CROSS_CORRELATION,
                                  CUDNN_DATA_FLOAT);
  Flat data(1024, queue);
  const float one = 1, zero = 0;
  const auto run = [&](cudnnTensorDescriptor_t to, const float* from,
                       float* into, size_t bytes) {
    return cudnnConvolutionForward(
        queue.cudnn(), &one, x, from, w, data.data() + 128, k,
        CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM, queue.workspace(),
        bytes, &zero, to, into);
  };
  float* const from = data.data();
  float* const into = from + 512;
  CHECK(run(y, from, into, 1 << 20) == CUDNN_STATUS_SUCCESS);
  CHECK(run(y, from, into, 16) == CUDNN_STATUS_BAD_PARAM);
  CHECK(run(y, nullptr, into, 1 << 20) == CUDNN_STATUS_BAD_PARAM);
  CHECK(run(y, from + 1, into, 1 << 20) == CUDNN_STATUS_BAD_PARAM);
  CHECK(run(y, from, from, 1 << 20) == CUDNN_STATUS_BAD_PARAM);
  CHECK(run(half, from, into, 1 << 20) == CUDNN_STATUS_BAD_PARAM);
  CHECK(run(x, from, into, 1 << 20) == CUDNN_STATUS_BAD_PARAM);
  cudnnSetConvolutionGroupCount(k, 2);
  CHECK(run(y, from, into, 1 << 20) == CUDNN_STATUS_BAD_PARAM);
  cudnnDestroyTensorDescriptor(x);
  cudnnDestroyTensorDescriptor(y);
  cudnnDestroyTensorDescriptor(half);
  cudnnDestroyFilterDescriptor(w);
  cudnnDestroyConvolutionDescriptor(k);
  CHECK(queue.Wait().ok());
}

}  // namespace
}  // namespace monsoon
