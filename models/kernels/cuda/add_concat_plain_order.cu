// SPDX-License-Identifier: Apache-2.0
// The kernels that bring channels from one order to another: of the second
// addend, of the parts of a concatenation, and to plain order.
#include <vector>

#include "cuda/launch.h"
#include "models/kernels/add.h"
#include "models/kernels/concat.h"
#include "models/kernels/cuda/blocks.h"
#include "models/kernels/plain_order.h"

namespace monsoon {
namespace {

BlockOrder OrderOf(const Shape& shape, int64_t block) {
  return {shape.channels, shape.height * shape.width, block};
}

template <typename Number>
MONSOON_ELEMENT Number Sum(Number a, Number b) {
  return static_cast<Number>(static_cast<float>(a) + static_cast<float>(b));
}

template <typename Number>
class CudaAdd final : public AddKernelOf<Number> {
 public:
  CudaAdd(const AddSpec& s, DeviceQueue& queue)
      : size_(s.batch * s.shape.size()),
        is_same_(s.block == s.b_block),
        order_(OrderOf(s.shape, s.block)),
        b_order_(OrderOf(s.shape, s.b_block)),
        queue_(CudaQueue::Of(queue)) {}

  void Forward(const Number* a, const Number* b, Number* y) override {
    if (is_same_) {
      ForIndex(queue_, size_, [a, b, y] MONSOON_ELEMENT_LAMBDA(int64_t i) {
        y[i] = Sum(a[i], b[i]);
      });
      return;
    }
    ForIndex(
        queue_, size_,
        [a, b, y, order = order_, b_order = b_order_] MONSOON_ELEMENT_LAMBDA(
            int64_t i) { y[i] = Sum(a[i], b[b_order.At(order.Of(i))]); });
  }

  void Backward(const Number* dy, Number* da, Number* db) override {
    if (da == dy) da = nullptr;
    if (da == nullptr && db == nullptr) return;
    if (is_same_) {
      ForIndex(queue_, size_, [dy, da, db] MONSOON_ELEMENT_LAMBDA(int64_t i) {
        const Number gradient = dy[i];
        if (da != nullptr) da[i] = gradient;
        if (db != nullptr) db[i] = gradient;
      });
      return;
    }
    ForIndex(queue_, size_,
             [dy, da, db, order = order_,
              b_order = b_order_] MONSOON_ELEMENT_LAMBDA(int64_t i) {
               const Number gradient = dy[i];
               if (da != nullptr) da[i] = gradient;
               if (db != nullptr) db[b_order.At(order.Of(i))] = gradient;
             });
  }

 private:
  const int64_t size_;
  const bool is_same_;
  const BlockOrder order_, b_order_;
  CudaQueue& queue_;
};

template <typename Number>
class CudaConcat final : public ConcatKernelOf<Number> {
 public:
  CudaConcat(const ConcatSpec& s, DeviceQueue& queue)
      : s_(s),
        channels_(ChannelsOf(s)),
        block_(BlockOf(s)),
        queue_(CudaQueue::Of(queue)) {}

  int64_t output_block() const override { return block_; }

  void Forward(absl::Span<const Number* const> x, Number* y) override {
    const BlockOrder out(channels_, s_.space, block_);
    int64_t begin = 0;
    for (size_t part = 0; part < s_.parts.size(); ++part) {
      const auto [channels, block] = s_.parts[part];
      const BlockOrder in(channels, s_.space, block);
      ForIndex(queue_, s_.batch * channels * s_.space,
               [from = x[part], y, begin, in,
                out] MONSOON_ELEMENT_LAMBDA(int64_t i) {
                 BlockOrder::Place place = in.Of(i);
                 place.channel += begin;
                 y[out.At(place)] = from[i];
               });
      begin += channels;
    }
  }

  void Backward(const Number* dy, absl::Span<Number* const> dx) override {
    const BlockOrder out(channels_, s_.space, block_);
    int64_t begin = 0;
    for (size_t part = 0; part < s_.parts.size(); ++part) {
      const auto [channels, block] = s_.parts[part];
      const BlockOrder in(channels, s_.space, block);
      if (dx[part] != nullptr) {
        ForIndex(queue_, s_.batch * channels * s_.space,
                 [dy, to = dx[part], begin, in,
                  out] MONSOON_ELEMENT_LAMBDA(int64_t i) {
                   BlockOrder::Place place = in.Of(i);
                   place.channel += begin;
                   to[i] = dy[out.At(place)];
                 });
      }
      begin += channels;
    }
  }

 private:
  static int64_t ChannelsOf(const ConcatSpec& s) {
    int64_t channels = 0;
    for (const ConcatPart& part : s.parts) channels += part.channels;
    return channels;
  }
  // Where each part has all channels of a pixel side by side, as convolutions
  // like them, so has Y. Else what the parts have in common, or plain order.
  static int64_t BlockOf(const ConcatSpec& s) {
    bool is_whole = true, is_plain = true;
    int64_t block = s.parts[0].block;
    for (const ConcatPart& part : s.parts) {
      is_whole = is_whole && part.block == part.channels;
      is_plain = is_plain && part.block == 1;
      if (part.block != block) block = 1;
    }
    return is_whole && !is_plain ? ChannelsOf(s) : block;
  }

  const ConcatSpec s_;
  const int64_t channels_, block_;  // of Y
  CudaQueue& queue_;
};

template <typename Number>
class CudaPlainOrder final : public PlainOrderKernelOf<Number> {
 public:
  CudaPlainOrder(const PlainOrderSpec& s, DeviceQueue& queue)
      : size_(s.batch * s.shape.size()),
        is_same_(s.block == 1 || s.shape.height * s.shape.width == 1),
        blocks_(OrderOf(s.shape, s.block)),
        plain_(OrderOf(s.shape, 1)),
        queue_(CudaQueue::Of(queue)) {}

  void Forward(const Number* x, Number* y) override {
    Copy(x, blocks_, y, plain_);
  }
  void Backward(const Number* dy, Number* dx) override {
    Copy(dy, plain_, dx, blocks_);
  }

  // Public because a device function cannot lie in a private one.
  void Copy(const Number* from, const BlockOrder& from_order, Number* to,
            const BlockOrder& to_order) {
    if (is_same_) {
      queue_.Copy(to, from, static_cast<size_t>(size_) * sizeof(Number));
      return;
    }
    ForIndex(queue_, size_,
             [from, to, from_order, to_order] MONSOON_ELEMENT_LAMBDA(
                 int64_t i) { to[i] = from[from_order.At(to_order.Of(i))]; });
  }

 private:
  const int64_t size_;
  const bool is_same_;
  const BlockOrder blocks_, plain_;
  CudaQueue& queue_;
};

const RegisterKernels<AddKernelOf, CudaAdd> kAdd("cuda");
const RegisterKernels<ConcatKernelOf, CudaConcat> kConcat("cuda");
const RegisterKernels<PlainOrderKernelOf, CudaPlainOrder> kPlainOrder("cuda");

}  // namespace
}  // namespace monsoon
