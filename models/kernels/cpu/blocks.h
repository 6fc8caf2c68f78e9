// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "base/check.h"

// What this device's kernels have in common for activations in blocks of
// channels (see Value): 16, 8 or, in plain order, 1.
namespace monsoon {

// Makes Implementation<spec.block>, whose block is a constant to the compiler.
template <typename Kernel, template <int64_t> typename Implementation>
struct ForBlock {
  static absl::StatusOr<std::unique_ptr<Kernel>> Make(
      const typename Kernel::Spec& s) {
    if (s.block == 16) return std::make_unique<Implementation<16>>(s);
    if (s.block == 8) return std::make_unique<Implementation<8>>(s);
    MONSOON_CHECK(s.block == 1, "a block that this device's kernels produce");
    return std::make_unique<Implementation<1>>(s);
  }
};

// Where channel c of the first number of an image's `space` lies.
inline int64_t ChannelAt(int64_t c, int64_t space, int64_t block) {
  return c / block * space * block + c % block;
}

// Copies one image [channels / from_block, space, from_block] to
// [channels / to_block, space, to_block].
inline void CopyImage(const float* from, int64_t from_block, int64_t channels,
                      int64_t space, float* to, int64_t to_block) {
  if (from_block == to_block) {
    std::copy_n(from, channels * space, to);
    return;
  }
  for (int64_t c = 0; c < channels; ++c) {
    const float* source = from + ChannelAt(c, space, from_block);
    float* target = to + ChannelAt(c, space, to_block);
    for (int64_t s = 0; s < space; ++s) {
      target[s * to_block] = source[s * from_block];
    }
  }
}

}  // namespace monsoon
