// SPDX-License-Identifier: Apache-2.0
// Dense over oneDNN's product of bfloat16 matrices, summed in float32. X and W
// are rounded once a step, by Forward; dW is made some rows at a time, which
// are handed on while they are in cache.
#include <algorithm>
#include <dnnl.hpp>
#include <utility>

#include "base/flat.h"
#include "models/kernels/cpu/dense_bias.h"
#include "models/kernels/cpu/dense_ways.h"
#include "models/kernels/cpu/onednn.h"

namespace monsoon {
namespace {

using dnnl::memory;
using onednn::Rounded;
using Type = memory::data_type;

// Of dW in one product: enough that packing X for each is little beside it.
constexpr int64_t kRows = 256;

memory::desc RowMajor(int64_t rows, int64_t columns, Type type) {
  return {{rows, columns}, type, memory::dims{columns, 1}};
}

// [rows, columns] within the transpose of a matrix with rows of `stride`.
memory::desc ColumnMajor(int64_t rows, int64_t columns, int64_t stride) {
  return {{rows, columns}, Type::bf16, memory::dims{1, stride}};
}

// C = A B, for A and B in bfloat16.
class Product {
 public:
  Product() = default;
  Product(const dnnl::matmul::desc& desc, const dnnl::engine& engine,
          const dnnl::post_ops& after = {}) {
    dnnl::primitive_attr attributes = onednn::UserScratch();
    attributes.set_post_ops(after);
    const dnnl::matmul::primitive_desc made(desc, attributes, engine);
    a_ = memory(made.src_desc(), engine, nullptr);
    b_ = memory(made.weights_desc(), engine, nullptr);
    c_ = memory(made.dst_desc(), engine, nullptr);
    bias_ = memory(made.bias_desc(), engine, nullptr);
    scratch_ = memory(made.scratchpad_desc(), engine);
    product_ = dnnl::matmul(made);
  }

  // `bias` is read only where the product was made with one.
  void Run(const dnnl::stream& stream, const void* a, const void* b, float* c,
           const float* bias = nullptr) {
    onednn::Point(a_, a);
    onednn::Point(b_, b);
    onednn::Point(c_, c);
    if (bias == nullptr) {
      onednn::Execute(product_, stream,
                      {{DNNL_ARG_SRC, a_.get()},
                       {DNNL_ARG_WEIGHTS, b_.get()},
                       {DNNL_ARG_DST, c_.get()},
                       {DNNL_ARG_SCRATCHPAD, scratch_.get()}});
      return;
    }
    onednn::Point(bias_, bias);
    onednn::Execute(product_, stream,
                    {{DNNL_ARG_SRC, a_.get()},
                     {DNNL_ARG_WEIGHTS, b_.get()},
                     {DNNL_ARG_BIAS, bias_.get()},
                     {DNNL_ARG_DST, c_.get()},
                     {DNNL_ARG_SCRATCHPAD, scratch_.get()}});
  }

 private:
  dnnl::matmul product_;
  memory a_, b_, c_, bias_, scratch_;
};

class Bf16Dense final : public DenseKernel {
 public:
  explicit Bf16Dense(const Spec& s)
      : s_(s),
        engine_(dnnl::engine::kind::cpu, 0),
        stream_(engine_),
        x_(s.batch * s.inputs, engine_),
        w_(s.outputs * s.inputs, engine_),
        dy_(s.batch * s.outputs, engine_),
        rows_(std::min(s.outputs, kRows)),
        dw_(rows_ * s.inputs),
        db_(s.outputs) {
    const auto x = RowMajor(s.batch, s.inputs, Type::bf16);
    dnnl::post_ops relu;
    if (s.relu) relu.append_eltwise(1, dnnl::algorithm::eltwise_relu, 0, 0);
    forward_ = Product({x, ColumnMajor(s.inputs, s.outputs, s.inputs),
                        RowMajor(1, s.outputs, Type::f32),
                        RowMajor(s.batch, s.outputs, Type::f32)},
                       engine_, relu);
    data_ = Product({RowMajor(s.batch, s.outputs, Type::bf16),
                     RowMajor(s.outputs, s.inputs, Type::bf16),
                     RowMajor(s.batch, s.inputs, Type::f32)},
                    engine_);
    const auto weights = [&](int64_t rows) {
      return Product({ColumnMajor(rows, s.batch, s.outputs), x,
                      RowMajor(rows, s.inputs, Type::f32)},
                     engine_);
    };
    weights_ = weights(rows_);
    if (s.outputs % rows_ != 0) last_weights_ = weights(s.outputs % rows_);
  }

  std::string way() const override { return "bf16"; }

  void Forward(const float* x, const float* w, const float* b,
               float* y) override {
    forward_.Run(stream_, x_.Round(x, stream_), w_.Round(w, stream_), y, b);
  }

  void Backward(const float*, const float* y, const float*, float* dy,
                float* dx, const TensorSink& dw,
                const TensorSink& db) override {
    MaskAndSum(s_, y, dy, db_);
    const uint16_t* rounded = dy_.Round(dy, stream_);
    if (dx != nullptr) data_.Run(stream_, rounded, w_.data(), dx);
    for (int64_t o = 0; o < s_.outputs; o += rows_) {
      const int64_t rows = std::min(rows_, s_.outputs - o);
      (rows == rows_ ? weights_ : last_weights_)
          .Run(stream_, rounded + o, x_.data(), dw_.data());
      dw.From(o * s_.inputs).Take(dw_.data(), rows * s_.inputs);
    }
    db.Take(db_.data(), s_.outputs);
  }

 private:
  Spec s_;
  dnnl::engine engine_;
  dnnl::stream stream_;
  Rounded x_, w_, dy_;
  const int64_t rows_;
  Product forward_, data_, weights_, last_weights_;
  Flat dw_;  // some rows
  Flat db_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<DenseKernel>> MakeBf16Dense(
    const DenseKernel::Spec& spec) {
  return onednn::Make<DenseKernel, Bf16Dense>(spec);
}

}  // namespace monsoon
