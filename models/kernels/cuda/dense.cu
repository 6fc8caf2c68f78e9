// SPDX-License-Identifier: Apache-2.0
// Dense layers over cuBLASLt: bias and ReLU are part of the product, and so are
// the sink's scale and beta. For bf16 the products read X, W and dY rounded,
// the bias too where Y is bfloat16; what is bfloat16 in memory is read as it
// lies, if its rows suit tensor cores.
#include <type_traits>

#include "absl/strings/str_cat.h"
#include "base/bf16.h"
#include "base/check.h"
#include "cuda/launch.h"
#include "cuda/matmul.h"
#include "models/kernels/cuda/device_array.h"
#include "models/kernels/cuda/operands.h"
#include "models/kernels/dense.h"

namespace monsoon {
namespace {

using Epilogue = CudaMatmul::Epilogue;

// Rows of operands of bfloat16 begin at multiples of this, 16 bytes: tensor
// cores are fed by that much.
constexpr int64_t kAtOnce = 8;

int64_t StrideOf(int64_t columns, Precision precision) {
  if (precision != Precision::kBf16) return columns;
  return (columns + kAtOnce - 1) / kAtOnce * kAtOnce;
}

// Whether a product takes a matrix of such numbers as it lies.
template <typename Number>
bool IsOperand(int64_t columns, Precision precision) {
  if (precision != Precision::kBf16) return true;
  return std::is_same_v<Number, Bf16> && columns % kAtOnce == 0;
}

struct alignas(16) Eight {
  uint32_t pairs[kAtOnce / 2];
};

// `count` numbers, and zeros behind them.
template <typename Number>
MONSOON_ELEMENT Eight RoundEight(const Number* from, int64_t count) {
  const auto at = [from, count](int i) {
    return uint32_t{Bf16(i < count ? static_cast<float>(from[i]) : 0).bits};
  };
  const auto pair = [at](int i) { return at(i) | at(i + 1) << 16; };
  return {{pair(0), pair(2), pair(4), pair(6)}};
}

// The same of eight floats at a multiple of 16 bytes.
MONSOON_ELEMENT inline Eight RoundEight(const float4* from) {
  const float4 low = from[0], high = from[1];
  const auto pair = [](float first, float second) {
    return uint32_t{Bf16(first).bits} | uint32_t{Bf16(second).bits} << 16;
  };
  return {{pair(low.x, low.y), pair(low.z, low.w), pair(high.x, high.y),
           pair(high.z, high.w)}};
}

struct VectorToRound {
  const float* from = nullptr;
  Bf16* to = nullptr;
  int64_t size = 0;
};

// A matrix [rows, columns] as operand of a product: as it is, or rounded to
// bfloat16 in memory of its own.
template <typename Number>
class Operand {
 public:
  Operand(int64_t rows, int64_t columns, Precision precision, CudaQueue& queue)
      : columns_(columns),
        stride_(StrideOf(columns, precision)),
        queue_(queue),
        rounded_(IsOperand<Number>(columns, precision)
                     ? 0
                     : rows * stride_ / kAtOnce,
                 queue),
        groups_(rows * stride_ / kAtOnce) {}

  int64_t stride() const { return stride_; }
  // What the product takes for `matrix`; until the next call. Where that is a
  // copy, the vector is rounded in the same pass.
  const void* Round(const Number* matrix, const VectorToRound& vector = {}) {
    Eight* const to = rounded_.data();
    if (to == nullptr) return matrix;
    const bool aligned = std::is_same_v<Number, float> && columns_ % 4 == 0 &&
                         reinterpret_cast<uintptr_t>(matrix) % 16 == 0;
    ForIndex(queue_, groups_ + vector.size,
             [matrix, to, aligned, vector, groups = groups_, columns = columns_,
              width = stride_ / kAtOnce] MONSOON_ELEMENT_LAMBDA(int64_t i) {
               if (i >= groups) {
                 vector.to[i - groups] = Bf16(vector.from[i - groups]);
                 return;
               }
               const int64_t row = i / width;
               const int64_t first = (i - row * width) * kAtOnce;
               const Number* const from = matrix + row * columns + first;
               to[i] = aligned && columns - first >= kAtOnce
                           ? RoundEight(reinterpret_cast<const float4*>(from))
                           : RoundEight(from, columns - first);
             });
    return to;
  }
  // As the last Round left it.
  const void* Rounded(const Number* matrix) {
    return rounded_.data() == nullptr ? static_cast<const void*>(matrix)
                                      : rounded_.data();
  }

 private:
  const int64_t columns_, stride_;
  CudaQueue& queue_;
  DeviceArray<Eight> rounded_;
  const int64_t groups_;
};

struct ColumnSum {
  float value = 0;
  MONSOON_ELEMENT void Add(const ColumnSum& other) { value += other.value; }
};

// A sink as kernels write it, which cannot take a TensorSink along.
struct SinkOnGpu {
  float* into;
  float scale, beta;
  MONSOON_ELEMENT void Write(int64_t i, float gradient) const {
    // With beta 0 what is there is not read.
    const float before = beta == 0 ? 0 : beta * into[i];
    into[i] = before + scale * gradient;
  }
};

// dY on its way into the products, in one pass: 0 where ReLU let no Y through,
// rounded, summed by columns.
template <typename Number>
class OutputGradient {
 public:
  OutputGradient(const DenseSpec& s, CudaQueue& queue)
      : s_(s),
        stride_(StrideOf(s.outputs, s.precision)),
        parts_((s.batch + kPartRows - 1) / kPartRows),
        queue_(queue),
        rounded_(
            IsOperand<Number>(s.outputs, s.precision) ? 0 : s.batch * stride_,
            queue),
        partial_(parts_ > 1 ? parts_ * s.outputs : 0, queue) {}

  int64_t stride() const { return stride_; }

  // What the products take for dY, until the next call. Writes its column sums.
  const void* Take(const Number* y, Number* dy, const TensorSink& db) {
    const SinkOnGpu sink{db.into, db.scale, db.beta};
    SumParts(s_.relu ? y : nullptr, dy, sink);
    if (parts_ > 1) SumSums(sink);
    Bf16* const rounded = rounded_.data();
    return rounded == nullptr ? static_cast<void*>(dy) : rounded;
  }

  // `y` is null where nothing is masked.
  void SumParts(const Number* y, Number* dy, const SinkOnGpu& sink) {
    ForNeighbouringRows<ColumnSum>(
        queue_, parts_ * s_.outputs, kPartRows / kRowsAtOnce,
        [y, dy, rounded = rounded_.data(), batch = s_.batch,
         outputs = s_.outputs,
         stride = stride_] MONSOON_ELEMENT_LAMBDA(int64_t i, int64_t group) {
          const auto part =
              static_cast<uint32_t>(i) / static_cast<uint32_t>(outputs);
          const int64_t column = i - part * outputs;
          const int64_t first = part * kPartRows + group * kRowsAtOnce;
          // All are read before any is looked at, so that reads overlap; behind
          // the last row that one again, which then counts for nothing.
          float gradients[kRowsAtOnce], passed[kRowsAtOnce];
          for (int64_t r = 0; r < kRowsAtOnce; ++r) {
            const int64_t row = first + r < batch ? first + r : batch - 1;
            gradients[r] = static_cast<float>(dy[row * outputs + column]);
            passed[r] = y == nullptr
                            ? 1
                            : static_cast<float>(y[row * outputs + column]);
          }
          ColumnSum sum;
          for (int64_t r = 0; r < kRowsAtOnce && first + r < batch; ++r) {
            const bool masked = !(passed[r] > 0);
            const float gradient = masked ? 0 : gradients[r];
            sum.value += gradient;
            if (rounded != nullptr) {
              rounded[(first + r) * stride + column] = Bf16(gradient);
            } else if (masked) {
              dy[(first + r) * outputs + column] = Number(0.0f);
            }
          }
          return sum;
        },
        [sink, partial = partial_.data()] MONSOON_ELEMENT_LAMBDA(
            int64_t i, const ColumnSum& sum) {
          if (partial == nullptr) {
            sink.Write(i, sum.value);
          } else {
            partial[i] = sum.value;
          }
        });
  }

  void SumSums(const SinkOnGpu& sink) {
    ForNeighbouringRows<ColumnSum>(
        queue_, s_.outputs, parts_,
        [partial = partial_.data(),
         outputs = s_.outputs] MONSOON_ELEMENT_LAMBDA(int64_t column,
                                                      int64_t part) {
          return ColumnSum{partial[part * outputs + column]};
        },
        [sink] MONSOON_ELEMENT_LAMBDA(int64_t column, const ColumnSum& sum) {
          sink.Write(column, sum.value);
        });
  }

 private:
  static constexpr int64_t kRowsAtOnce = 4;  // of a thread
  // Of which a sum is made at a time: a batch of usual size is one part, and a
  // large one enough parts to occupy a GPU.
  static constexpr int64_t kPartRows = 128;

  const DenseSpec s_;
  const int64_t stride_, parts_;
  CudaQueue& queue_;
  DeviceArray<Bf16> rounded_;
  DeviceArray<float> partial_;  // [parts, outputs]
};

template <typename In, typename Out>
class CudaDense final : public DenseKernelOf<In, Out> {
 public:
  CudaDense(const DenseSpec& s, DeviceQueue& queue)
      : s_(s),
        queue_(CudaQueue::Of(queue)),
        x_(s.batch, s.inputs, s.precision, queue_),
        w_(s.outputs, s.inputs, s.precision, queue_),
        dy_(s, queue_),
        bias_(kRoundsY ? s.outputs : 0, queue_),
        forward_({.rows = s.batch,
                  .columns = s.outputs,
                  .depth = s.inputs,
                  .b_transposed = true,
                  .a_stride = x_.stride(),
                  .b_stride = w_.stride(),
                  .operands = OperandsOf(s.precision),
                  .epilogue = s.relu ? Epilogue::kBiasRelu : Epilogue::kBias,
                  .rounds_d = kRoundsY},
                 queue_),
        backward_x_({.rows = s.batch,
                     .columns = s.inputs,
                     .depth = s.outputs,
                     .a_stride = dy_.stride(),
                     .b_stride = w_.stride(),
                     .operands = OperandsOf(s.precision),
                     .rounds_d = std::is_same_v<In, Bf16>},
                    queue_),
        backward_w_({.rows = s.outputs,
                     .columns = s.inputs,
                     .depth = s.batch,
                     .a_transposed = true,
                     .a_stride = dy_.stride(),
                     .b_stride = x_.stride(),
                     .operands = OperandsOf(s.precision)},
                    queue_) {
    constexpr bool kReadsFloat = std::is_same_v<In, float>;
    MONSOON_CHECK(kReadsFloat || s.precision == Precision::kBf16,
                  "products of float32 do not read bfloat16");
  }

  static absl::StatusOr<std::unique_ptr<DenseKernelOf<In, Out>>> Make(
      const DenseSpec& spec, DeviceQueue& queue) {
    auto made = std::make_unique<CudaDense>(spec, queue);
    if (!queue.status().ok()) return queue.status();
    return made;
  }

  std::string way() const override {
    return absl::StrCat("forward ", forward_.way(), "; backward ",
                        backward_x_.way(), "; weights ", backward_w_.way());
  }

  void Forward(const In* x, const float* w, const float* b, Out* y) override {
    const void* bias = b;
    VectorToRound to_round;
    if (kRoundsY) {
      // What the product adds to bfloat16 is bfloat16.
      bias = bias_.data();
      to_round = {b, bias_.data(), s_.outputs};
    }
    forward_.Run(x_.Round(x), w_.Round(w, to_round), y, 1, 0, bias);
  }

  void Backward(const In* x, const Out* y, const float* w, Out* dy, In* dx,
                const TensorSink& dw, const TensorSink& db) override {
    const void* const gradient = dy_.Take(y, dy, db);
    // The sink may be the weights themselves.
    if (dx != nullptr) backward_x_.Run(gradient, w_.Rounded(w), dx);
    backward_w_.Run(gradient, x_.Rounded(x), dw.into, dw.scale, dw.beta);
    dw.HandOn(0, dw.into, s_.outputs * s_.inputs);
    db.HandOn(0, db.into, s_.outputs);
  }

 private:
  static constexpr bool kRoundsY = std::is_same_v<Out, Bf16>;

  const DenseSpec s_;
  CudaQueue& queue_;
  Operand<In> x_;
  Operand<float> w_;
  OutputGradient<Out> dy_;
  DeviceArray<Bf16> bias_;
  CudaMatmul forward_, backward_x_, backward_w_;
};

const RegisterProducts<DenseKernelOf, CudaDense> kRegistered("cuda");

}  // namespace
}  // namespace monsoon
