// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "base/bf16.h"

namespace monsoon {

// What activations and their gradients are in memory.
enum class DataType { kFloat32, kBf16 };

template <typename Number>
inline constexpr DataType kDataTypeOf = DataType::kFloat32;
template <>
inline constexpr DataType kDataTypeOf<Bf16> = DataType::kBf16;

inline constexpr int64_t BytesOf(DataType type) {
  return type == DataType::kBf16 ? sizeof(Bf16) : sizeof(float);
}

// fn.operator()<Number>(), where Number is float or Bf16.
template <typename Fn>
auto WithType(DataType type, Fn fn) {
  return type == DataType::kBf16 ? fn.template operator()<Bf16>()
                                 : fn.template operator()<float>();
}

}  // namespace monsoon
