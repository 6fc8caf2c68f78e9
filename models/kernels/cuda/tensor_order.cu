// SPDX-License-Identifier: Apache-2.0
#include "base/bf16.h"
#include "base/check.h"
#include "cuda/launch.h"
#include "models/kernels/cuda/tensor_order.h"

namespace monsoon {
namespace {

template <typename From, typename To>
void ConvertNumbers(CudaQueue& queue, const TensorOrder& from,
                    const From* source, const TensorOrder& to, To* target) {
  if (from.IsOrderedLike(to)) {
    ForIndex(queue, to.size(),
             [source, target] MONSOON_ELEMENT_LAMBDA(int64_t i) {
               target[i] = static_cast<To>(static_cast<float>(source[i]));
             });
    return;
  }
  const Places there(from), here(to);
  ForIndex(queue, to.size(),
           [source, target, there, here] MONSOON_ELEMENT_LAMBDA(int64_t i) {
             const float value =
                 static_cast<float>(source[there.IndexOf(here.Of(i))]);
             target[i] = static_cast<To>(value);
           });
}

}  // namespace

void Convert(CudaQueue& queue, const TensorOrder& from, const void* source,
             const TensorOrder& to, void* target) {
  MONSOON_CHECK(from.batch == to.batch && from.shape == to.shape,
                "the same tensor");
  const auto* const floats = static_cast<const float*>(source);
  const auto* const halves = static_cast<const Bf16*>(source);
  if (from.bf16 && to.bf16) {
    ConvertNumbers(queue, from, halves, to, static_cast<Bf16*>(target));
  } else if (from.bf16) {
    ConvertNumbers(queue, from, halves, to, static_cast<float*>(target));
  } else if (to.bf16) {
    ConvertNumbers(queue, from, floats, to, static_cast<Bf16*>(target));
  } else {
    ConvertNumbers(queue, from, floats, to, static_cast<float*>(target));
  }
}

}  // namespace monsoon
