// SPDX-License-Identifier: Apache-2.0
// Convolution over oneDNN. Weights and their gradients stay plain outside;
// oneDNN's own order of them is made anew in every call, which for a 3x3x32x32
// layer costs a thousandth of the convolution.
#include <memory>
#include <string>

#include "models/kernels/cpu/conv2d_ways.h"
#include "models/kernels/cpu/onednn.h"
#include "models/kernels/cpu/relu.h"

namespace monsoon {
namespace {

using dnnl::memory;
using onednn::Bridge;
using Desc = memory::desc;

// Descriptors that all three primitives are made from. Activations and weights
// are `any`: oneDNN picks what is fastest on this machine. What a primitive
// writes is float32 whatever it reads.
struct Descs {
  explicit Descs(const Conv2dKernel::Spec& s)
      : type(s.precision == Precision::kBf16 ? memory::data_type::bf16
                                             : memory::data_type::f32),
        w_dims(WeightDims(s)),
        x_dims({s.batch, s.in.channels, s.in.height, s.in.width}),
        y_dims({s.batch, s.out.channels, s.out.height, s.out.width}),
        x(onednn::AnyOrder(x_dims, type)),
        written_x(onednn::AnyOrder(x_dims)),
        y(onednn::AnyOrder(y_dims, type)),
        written_y(onednn::AnyOrder(y_dims)),
        w(onednn::AnyOrder(w_dims, type)),
        written_w(onednn::AnyOrder(w_dims)),
        plain_w(w_dims, memory::data_type::f32,
                s.groups == 1 ? memory::format_tag::oihw
                              : memory::format_tag::goihw),
        b({s.out.channels}, memory::data_type::f32, memory::format_tag::a),
        strides({s.stride, s.stride}),
        // oneDNN counts the gaps.
        dilation({s.dilation - 1, s.dilation - 1}),
        padding({s.padding, s.padding}) {}
  static memory::dims WeightDims(const Conv2dKernel::Spec& s) {
    if (s.groups == 1) {
      return {s.out.channels, s.in.channels, s.kernel, s.kernel};
    }
    return {s.groups, s.out.channels / s.groups, s.in.channels / s.groups,
            s.kernel, s.kernel};
  }

  memory::data_type type;
  memory::dims w_dims, x_dims, y_dims;
  Desc x, written_x, y, written_y, w, written_w, plain_w, b;
  memory::dims strides, dilation, padding;
  dnnl::primitive_attr attributes = onednn::UserScratch();
  static constexpr auto kAlgorithm = dnnl::algorithm::convolution_direct;
};

class DirectConv2d final : public Conv2dKernel {
 public:
  explicit DirectConv2d(const Spec& s)
      : engine_(dnnl::engine::kind::cpu, 0),
        stream_(engine_),
        way_(s.precision == Precision::kBf16 ? "direct bf16" : "direct"),
        relu_(s.relu),
        y_size_(s.batch * s.out.size()),
        dw_(s.out.channels * s.in.channels / s.groups * s.kernel * s.kernel),
        db_(s.out.channels) {
    const Descs d(s);
    const ForwardDesc forward = BuildForward(s, d);
    if (s.input_gradient) BuildBackwardData(d, forward);
    BuildBackwardWeights(d, forward);
  }

  int64_t output_block() const override { return output_block_; }
  std::string way() const override { return way_; }

  void Forward(const float* x, const float* w, const float* b,
               float* y) override {
    onednn::Execute(forward_, stream_,
                    {{DNNL_ARG_SRC, x_.Read(x, stream_)},
                     {DNNL_ARG_WEIGHTS, w_.Read(w, stream_)},
                     {DNNL_ARG_BIAS, b_.Read(b, stream_)},
                     {DNNL_ARG_DST, y_.Write(y)},
                     {DNNL_ARG_SCRATCHPAD, forward_scratch_.get()}});
    y_.Finish(stream_);
  }

  void Backward(const float* x, const float* y, const float* w, float* dy,
                float* dx, const TensorSink& dw,
                const TensorSink& db) override {
    if (relu_) MaskByOutput(y, dy, dy, y_size_);
    if (dx != nullptr) {
      onednn::Execute(data_, stream_,
                      {{DNNL_ARG_DIFF_DST, data_dy_.Read(dy, stream_)},
                       {DNNL_ARG_WEIGHTS, data_w_.Read(w, stream_)},
                       {DNNL_ARG_DIFF_SRC, data_dx_.Write(dx)},
                       {DNNL_ARG_SCRATCHPAD, data_scratch_.get()}});
      data_dx_.Finish(stream_);
    }
    onednn::Execute(weights_, stream_,
                    {{DNNL_ARG_SRC, weights_x_.Read(x, stream_)},
                     {DNNL_ARG_DIFF_DST, weights_dy_.Read(dy, stream_)},
                     {DNNL_ARG_DIFF_WEIGHTS, weights_dw_.Write(dw_.data())},
                     {DNNL_ARG_DIFF_BIAS, weights_db_.Write(db_.data())},
                     {DNNL_ARG_SCRATCHPAD, weights_scratch_.get()}});
    weights_dw_.Finish(stream_);
    dw.Take(dw_.data(), dw_.size());
    db.Take(db_.data(), db_.size());
  }

 private:
  using ForwardDesc = dnnl::convolution_forward::primitive_desc;

  ForwardDesc BuildForward(const Spec& s, const Descs& d) {
    // Of its own: a copy of d's would share what it is told.
    dnnl::primitive_attr attributes = onednn::UserScratch();
    if (s.relu) {
      dnnl::post_ops after;
      after.append_eltwise(1, dnnl::algorithm::eltwise_relu, 0, 0);
      attributes.set_post_ops(after);
    }
    ForwardDesc desc(
        {dnnl::prop_kind::forward_training, Descs::kAlgorithm, d.x, d.w, d.b,
         d.written_y, d.strides, d.dilation, d.padding, d.padding},
        attributes, engine_);
    output_block_ = onednn::BlockOf(desc.dst_desc(), s.batch, s.out);
    outside_x_ = onednn::ActivationDesc(s.batch, s.in, s.block);
    outside_y_ = onednn::ActivationDesc(s.batch, s.out, output_block_);
    x_ = Bridge(outside_x_, desc.src_desc(), engine_);
    w_ = Bridge(d.plain_w, desc.weights_desc(), engine_);
    b_ = Bridge(d.b, d.b, engine_);
    y_ = Bridge(outside_y_, desc.dst_desc(), engine_);
    forward_scratch_ = memory(desc.scratchpad_desc(), engine_);
    forward_ = dnnl::convolution_forward(desc);
    return desc;
  }

  void BuildBackwardData(const Descs& d, const ForwardDesc& forward) {
    const dnnl::convolution_backward_data::primitive_desc desc(
        {Descs::kAlgorithm, d.written_x, d.w, d.y, d.strides, d.dilation,
         d.padding, d.padding},
        d.attributes, engine_, forward);
    data_dy_ = Bridge(outside_y_, desc.diff_dst_desc(), engine_);
    data_w_ = Bridge(d.plain_w, desc.weights_desc(), engine_);
    data_dx_ = Bridge(outside_x_, desc.diff_src_desc(), engine_);
    data_scratch_ = memory(desc.scratchpad_desc(), engine_);
    data_ = dnnl::convolution_backward_data(desc);
  }

  void BuildBackwardWeights(const Descs& d, const ForwardDesc& forward) {
    const dnnl::convolution_backward_weights::primitive_desc desc(
        {Descs::kAlgorithm, d.x, d.written_w, d.b, d.y, d.strides, d.dilation,
         d.padding, d.padding},
        d.attributes, engine_, forward);
    weights_x_ = Bridge(outside_x_, desc.src_desc(), engine_);
    weights_dy_ = Bridge(outside_y_, desc.diff_dst_desc(), engine_);
    weights_dw_ = Bridge(d.plain_w, desc.diff_weights_desc(), engine_);
    weights_db_ = Bridge(d.b, d.b, engine_);
    weights_scratch_ = memory(desc.scratchpad_desc(), engine_);
    weights_ = dnnl::convolution_backward_weights(desc);
  }

  dnnl::engine engine_;
  dnnl::stream stream_;
  const std::string way_;
  const bool relu_;
  const int64_t y_size_;
  int64_t output_block_ = 1;
  Desc outside_x_, outside_y_;
  dnnl::primitive forward_, data_, weights_;
  Bridge x_, w_, b_, y_;
  Bridge data_dy_, data_w_, data_dx_;
  Bridge weights_x_, weights_dy_, weights_dw_, weights_db_;
  memory forward_scratch_, data_scratch_, weights_scratch_;
  Flat dw_, db_;  // plain; what the sinks take from
};

}  // namespace

MadeConv2d MakeDirectConv2d(const Conv2dKernel::Spec& spec) {
  return onednn::Make<Conv2dKernel, DirectConv2d>(spec);
}

}  // namespace monsoon
