// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <utility>

#include "base/flat.h"
#include "cuda/launch.h"

namespace monsoon {

// How many operands an element function has.
template <typename Fn>
struct OperandsOf;
template <typename Fn, typename... Operands>
struct OperandsOf<void (Fn::*)(Operands...) const> {
  static constexpr size_t kCount = sizeof...(Operands);
};

template <size_t kCount>
struct OperandPointers {
  float* at[kCount];
};

template <typename Fn, size_t... kOperand>
void ForEachOnGpu(DeviceQueue& queue, const Fn& fn, int64_t size,
                  float* const* operands, std::index_sequence<kOperand...>) {
  const OperandPointers<sizeof...(kOperand)> p = {operands[kOperand]...};
  ForIndex(
      CudaQueue::Of(queue), size,
      [fn, p] MONSOON_ELEMENT_LAMBDA(int64_t i) { fn(p.at[kOperand][i]...); });
}

// Makes an element function known to GPUs, in a .cu file:
//   const RegisterElement<SgdStep> kSgdStep;
template <typename Fn>
struct RegisterElement {
  RegisterElement() {
    DeviceForEach<Fn>::run = [](DeviceQueue& queue, const Fn& fn, int64_t size,
                                float* const* operands) {
      ForEachOnGpu(queue, fn, size, operands,
                   std::make_index_sequence<
                       OperandsOf<decltype(&Fn::operator())>::kCount>());
    };
  }
};

}  // namespace monsoon
