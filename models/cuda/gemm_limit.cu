// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <vector>

#include "absl/functional/function_ref.h"
#include "base/bf16.h"
#include "base/flat.h"
#include "base/status_macros.h"
#include "cuda/launch.h"
#include "cuda/matmul.h"
#include "models/cuda/gemm_limit.h"
#include "models/kernels/cuda/operands.h"

namespace monsoon {
namespace {

using Operands = CudaMatmul::Operands;

// Passes in one recording, so that the gaps between replays are small.
constexpr int kPasses = 8;
constexpr int kRounds = 5;
constexpr double kRoundSeconds = 0.02;
constexpr int kMostReplays = 1000;

// Numbers in [-1, 1) that look random: GPUs are faster at zeros.
template <typename Number>
void Fill(CudaQueue& queue, Number* to, int64_t size) {
  ForIndex(queue, size, [to] MONSOON_ELEMENT_LAMBDA(int64_t i) {
    auto bits = static_cast<uint32_t>(i) * 2654435761u;
    bits ^= bits >> 16;
    bits *= 2246822519u;
    bits ^= bits >> 13;
    to[i] = Number(static_cast<float>(static_cast<int32_t>(bits)) * 0x1p-31f);
  });
}

// float32 or, where it is said, bfloat16.
class Matrix {
 public:
  Matrix(int64_t rows, int64_t columns, bool is_bf16, CudaQueue& queue)
      : memory_(is_bf16 ? (rows * columns + 1) / 2 : rows * columns, queue) {
    if (is_bf16) {
      Fill(queue, reinterpret_cast<Bf16*>(memory_.data()), rows * columns);
    } else {
      Fill(queue, memory_.data(), rows * columns);
    }
  }
  void* data() { return memory_.data(); }

 private:
  Flat memory_;
};

// A product of matrices of its own.
class Gemm {
 public:
  Gemm(const CudaMatmul::Spec& s, CudaQueue& queue)
      : operations_(2.0 * static_cast<double>(s.rows) *
                    static_cast<double>(s.columns) *
                    static_cast<double>(s.depth)),
        a_(s.rows, s.depth, s.operands == Operands::kBf16, queue),
        b_(s.depth, s.columns, s.operands == Operands::kBf16, queue),
        d_(s.rows, s.columns, s.rounds_d, queue),
        matmul_(s, queue) {}

  double operations() const { return operations_; }
  void Run() { matmul_.Run(a_.data(), b_.data(), d_.data()); }

 private:
  const double operations_;
  Matrix a_, b_, d_;
  CudaMatmul matmul_;
};

class Event {
 public:
  explicit Event(CudaQueue& queue) : queue_(queue) {
    if (queue.Enter()) {
      queue.Check(cudaEventCreateWithFlags(&event_, cudaEventDefault), kWhat);
    }
  }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  ~Event() {
    if (event_ != nullptr) cudaEventDestroy(event_);
  }

  void Mark() {
    if (queue_.Enter()) {
      queue_.Check(cudaEventRecord(event_, queue_.stream()), kWhat);
    }
  }
  // REQUIRES: both were marked, and passed.
  double SecondsSince(const Event& begin) {
    float milliseconds = 0;
    queue_.Check(cudaEventElapsedTime(&milliseconds, begin.event_, event_),
                 kWhat);
    return 1e-3 * double{milliseconds};
  }

 private:
  static constexpr char kWhat[] = "measuring time";

  CudaQueue& queue_;
  cudaEvent_t event_ = nullptr;
};

absl::StatusOr<double> SecondsOf(CudaQueue& queue,
                                 const DeviceQueue::Recording& recording,
                                 int replays) {
  Event begin(queue), end(queue);
  begin.Mark();
  for (int i = 0; i < replays; ++i) queue.Replay(recording);
  end.Mark();
  RETURN_IF_ERROR(queue.Wait());
  const double seconds = end.SecondsSince(begin);
  RETURN_IF_ERROR(queue.status());
  return seconds;
}

// Of all of them, one behind the other.
absl::StatusOr<GemmTime> Measure(
    CudaQueue& queue, const std::vector<std::unique_ptr<Gemm>>& gemms) {
  const auto run = [&gemms] {
    for (const auto& gemm : gemms) gemm->Run();
  };
  run();  // loads what it needs
  RETURN_IF_ERROR(queue.Wait());
  ASSIGN_OR_RETURN(const auto recording, queue.Record([&run] {
    for (int i = 0; i < kPasses; ++i) run();
  }));
  ASSIGN_OR_RETURN(const double once, SecondsOf(queue, *recording, 1));
  const double wanted = std::ceil(kRoundSeconds / std::max(once, 1e-9));
  const auto replays = static_cast<int>(std::min(wanted, double{kMostReplays}));
  double best = std::numeric_limits<double>::infinity();
  for (int round = 0; round < kRounds; ++round) {
    ASSIGN_OR_RETURN(const double taken, SecondsOf(queue, *recording, replays));
    best = std::min(best, taken / (replays * kPasses));
  }
  GemmTime time{.operations = 0, .seconds = best};
  for (const auto& gemm : gemms) time.operations += gemm->operations();
  return time;
}

}  // namespace

absl::StatusOr<GemmTime> MeasureCudaGemm(DeviceQueue& queue,
                                         Precision precision, int64_t size) {
  CudaQueue& gpu = CudaQueue::Of(queue);
  std::vector<std::unique_ptr<Gemm>> gemms;
  gemms.push_back(std::make_unique<Gemm>(
      CudaMatmul::Spec{.rows = size,
                       .columns = size,
                       .depth = size,
                       .operands = OperandsOf(precision),
                       .rounds_d = precision == Precision::kBf16},
      gpu));
  return Measure(gpu, gemms);
}

absl::StatusOr<GemmTime> MeasureCudaDense(DeviceQueue& queue,
                                          Precision precision,
                                          absl::Span<const DenseShape> layers) {
  CudaQueue& gpu = CudaQueue::Of(queue);
  std::vector<std::unique_ptr<Gemm>> gemms;
  const auto add = [&](CudaMatmul::Spec spec, bool rounds) {
    spec.operands = OperandsOf(precision);
    spec.rounds_d = rounds && precision == Precision::kBf16;
    gemms.push_back(std::make_unique<Gemm>(spec, gpu));
  };
  for (const DenseShape& s : layers) {
    add({.rows = s.batch,
         .columns = s.outputs,
         .depth = s.inputs,
         .b_transposed = true},
        /*rounds=*/true);
  }
  for (size_t i = layers.size(); i-- > 0;) {
    const DenseShape& s = layers[i];
    if (s.input_gradient) {
      add({.rows = s.batch, .columns = s.inputs, .depth = s.outputs}, true);
    }
    add({.rows = s.outputs,
         .columns = s.inputs,
         .depth = s.batch,
         .a_transposed = true},
        /*rounds=*/false);
  }
  return Measure(gpu, gemms);
}

}  // namespace monsoon
