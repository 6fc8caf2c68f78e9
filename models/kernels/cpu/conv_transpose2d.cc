// SPDX-License-Identifier: Apache-2.0
// Transposed convolution over oneDNN, which calls it deconvolution. Weights and
// their gradients stay plain outside, as in conv2d_direct.cc. Of the sizes that
// a stride maps to one input oneDNN takes the one that the output has.
#include "models/kernels/conv_transpose2d.h"

#include <memory>

#include "models/kernels/cpu/onednn.h"

namespace monsoon {
namespace {

using dnnl::memory;
using onednn::Bridge;
using Desc = memory::desc;

// Descriptors that all three primitives are made from.
struct Descs {
  explicit Descs(const ConvTranspose2dKernel::Spec& s)
      : w_dims({s.out.channels, s.in.channels, s.kernel, s.kernel}),
        x(onednn::AnyOrder({s.batch, s.in.channels, s.in.height, s.in.width})),
        y(onednn::AnyOrder(
            {s.batch, s.out.channels, s.out.height, s.out.width})),
        w(onednn::AnyOrder(w_dims)),
        plain_w(w_dims, memory::data_type::f32, memory::format_tag::iohw),
        b({s.out.channels}, memory::data_type::f32, memory::format_tag::a),
        strides({s.stride, s.stride}),
        padding({s.padding, s.padding}) {}

  memory::dims w_dims;
  Desc x, y, w, plain_w, b;
  memory::dims strides, padding;
  dnnl::primitive_attr attributes = onednn::UserScratch();
  static constexpr auto kAlgorithm = dnnl::algorithm::deconvolution_direct;
};

class CpuConvTranspose2d final : public ConvTranspose2dKernel {
 public:
  static absl::StatusOr<std::unique_ptr<ConvTranspose2dKernel>> Make(
      const Spec& spec) {
    return onednn::Make<ConvTranspose2dKernel, CpuConvTranspose2d>(spec);
  }

  explicit CpuConvTranspose2d(const Spec& s)
      : engine_(dnnl::engine::kind::cpu, 0),
        stream_(engine_),
        dw_(s.out.channels * s.in.channels * s.kernel * s.kernel),
        db_(s.out.channels) {
    const Descs d(s);
    const ForwardDesc forward = BuildForward(s, d);
    if (s.input_gradient) BuildBackwardData(d, forward);
    BuildBackwardWeights(d, forward);
  }

  int64_t output_block() const override { return output_block_; }

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

  void Backward(const float* x, const float*, const float* w, const float* dy,
                float* dx, const TensorSink& dw,
                const TensorSink& db) override {
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
  using ForwardDesc = dnnl::deconvolution_forward::primitive_desc;

  ForwardDesc BuildForward(const Spec& s, const Descs& d) {
    ForwardDesc desc({dnnl::prop_kind::forward_training, Descs::kAlgorithm, d.x,
                      d.w, d.b, d.y, d.strides, d.padding, d.padding},
                     d.attributes, engine_);
    output_block_ = onednn::BlockOf(desc.dst_desc(), s.batch, s.out);
    outside_x_ = onednn::ActivationDesc(s.batch, s.in, s.block);
    outside_y_ = onednn::ActivationDesc(s.batch, s.out, output_block_);
    x_ = Bridge(outside_x_, desc.src_desc(), engine_);
    w_ = Bridge(d.plain_w, desc.weights_desc(), engine_);
    b_ = Bridge(d.b, d.b, engine_);
    y_ = Bridge(outside_y_, desc.dst_desc(), engine_);
    forward_scratch_ = memory(desc.scratchpad_desc(), engine_);
    forward_ = dnnl::deconvolution_forward(desc);
    return desc;
  }

  void BuildBackwardData(const Descs& d, const ForwardDesc& forward) {
    const dnnl::deconvolution_backward_data::primitive_desc desc(
        {Descs::kAlgorithm, d.x, d.w, d.y, d.strides, d.padding, d.padding},
        d.attributes, engine_, forward);
    data_dy_ = Bridge(outside_y_, desc.diff_dst_desc(), engine_);
    data_w_ = Bridge(d.plain_w, desc.weights_desc(), engine_);
    data_dx_ = Bridge(outside_x_, desc.diff_src_desc(), engine_);
    data_scratch_ = memory(desc.scratchpad_desc(), engine_);
    data_ = dnnl::deconvolution_backward_data(desc);
  }

  void BuildBackwardWeights(const Descs& d, const ForwardDesc& forward) {
    const dnnl::deconvolution_backward_weights::primitive_desc desc(
        {Descs::kAlgorithm, d.x, d.w, d.b, d.y, d.strides, d.padding,
         d.padding},
        d.attributes, engine_, forward);
    weights_x_ = Bridge(outside_x_, desc.src_desc(), engine_);
    weights_dy_ = Bridge(outside_y_, desc.diff_dst_desc(), engine_);
    weights_dw_ = Bridge(d.plain_w, desc.diff_weights_desc(), engine_);
    weights_db_ = Bridge(d.b, d.b, engine_);
    weights_scratch_ = memory(desc.scratchpad_desc(), engine_);
    weights_ = dnnl::deconvolution_backward_weights(desc);
  }

  dnnl::engine engine_;
  dnnl::stream stream_;
  int64_t output_block_ = 1;
  Desc outside_x_, outside_y_;
  dnnl::primitive forward_, data_, weights_;
  Bridge x_, w_, b_, y_;
  Bridge data_dy_, data_w_, data_dx_;
  Bridge weights_x_, weights_dy_, weights_dw_, weights_db_;
  memory forward_scratch_, data_scratch_, weights_scratch_;
  Flat dw_, db_;  // plain; what the sinks take from
};

const RegisterKernel<ConvTranspose2dKernel, CpuConvTranspose2d> kRegistered(
    "cpu");

}  // namespace
}  // namespace monsoon
