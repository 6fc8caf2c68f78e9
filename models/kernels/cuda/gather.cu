// SPDX-License-Identifier: Apache-2.0
#include <cstring>

#include "cuda/launch.h"
#include "models/kernels/cuda/blocks.h"
#include "models/kernels/gather.h"

namespace monsoon {
namespace {

// Not a product with 1 / 255, which is not always the nearest float.
MONSOON_ELEMENT inline float Brightness(uint32_t byte) {
  return static_cast<float>(byte) / 255.0f;
}

class CudaGather final : public GatherKernel {
 public:
  CudaGather(const Spec& spec, DeviceQueue& queue)
      : s_(spec), queue_(CudaQueue::Of(queue)) {}

  void Run(const uint8_t* images, const uint8_t* labels, const int64_t* rows,
           void* x, int32_t* y) override {
    if (s_.type == DataType::kBf16) {
      RunTo(images, labels, rows, static_cast<Bf16*>(x), y);
    } else {
      RunTo(images, labels, rows, static_cast<float*>(x), y);
    }
  }

  // These are public because a device function cannot lie in a private one.

  template <typename Number>
  void RunTo(const uint8_t* images, const uint8_t* labels, const int64_t* rows,
             Number* x, int32_t* y) {
    if (s_.example_size % 4 == 0) {
      RunInFours(images, labels, rows, x, y);
      return;
    }
    ForIndex(
        queue_, s_.batch * s_.example_size,
        [images, labels, rows, x, y,
         size = Divisor(s_.example_size)] MONSOON_ELEMENT_LAMBDA(int64_t i) {
          const auto at = size(i);
          const int64_t row = rows[at.quotient];
          x[i] = static_cast<Number>(
              Brightness(images[row * size.value() + at.remainder]));
          if (at.remainder == 0) y[at.quotient] = labels[row];
        });
  }

  // Four bytes to a thread.
  template <typename Number>
  void RunInFours(const uint8_t* images, const uint8_t* labels,
                  const int64_t* rows, Number* x, int32_t* y) {
    ForIndex(queue_, s_.batch * s_.example_size / 4,
             [images, labels, rows, x, y,
              fours = Divisor(s_.example_size /
                              4)] MONSOON_ELEMENT_LAMBDA(int64_t i) {
               const auto at = fours(i);
               const int64_t row = rows[at.quotient];
               uint32_t bytes;  // the first is the lowest
               memcpy(&bytes,
                      __builtin_assume_aligned(
                          images + (row * fours.value() + at.remainder) * 4, 4),
                      sizeof bytes);
               for (int k = 0; k < 4; ++k) {
                 x[i * 4 + k] =
                     static_cast<Number>(Brightness(bytes >> (8 * k) & 255));
               }
               if (at.remainder == 0) y[at.quotient] = labels[row];
             });
  }

 private:
  const Spec s_;
  CudaQueue& queue_;
};

const RegisterKernel<GatherKernel, CudaGather> kRegistered("cuda");

}  // namespace
}  // namespace monsoon
