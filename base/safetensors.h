// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/flat.h"
#include "base/layout.h"

namespace monsoon {

// Models as safetensors files, which other tools open without our help:
//   u64 LE   size of the header, at most 100,000,000
//   header   UTF-8 JSON object, padded with spaces to a multiple of 8 bytes:
//            {"__metadata__": {string: string},
//             NAME: {"dtype": "F32", "shape": [...],
//                    "data_offsets": [begin, end]}, ...}
//   data     little-endian, row-major; offsets count from its first byte
// Source: github.com/huggingface/safetensors.
struct SafetensorsFile {
  struct Tensor {
    std::string name;
    std::vector<int64_t> shape;  // {} is a scalar; an extent may be 0
    absl::string_view data;      // the bytes of its floats, not aligned
  };
  std::vector<Tensor> tensors;  // in the order of their data
  std::map<std::string, std::string> metadata;
};

// The file that holds `values` under the names of `layout`, in its order.
// "format": "pt", which loaders of the Hugging Face tools ask for, is added to
// `metadata` unless it has a format. REQUIRES: values.size() == layout.size(),
// names are unique UTF-8 and none is "__metadata__".
std::string EncodeSafetensors(
    const ParameterLayout& layout, const Flat& values,
    const std::map<std::string, std::string>& metadata = {});

// Reads any file of float32 tensors; the result borrows from `bytes`.
// DATA_LOSS, naming the place, for a file that breaks a rule of the format: a
// size that does not fit, a header that is not such an object, keys that are
// there twice, tensors that overlap or leave a gap, extents whose product is
// not the size. UNIMPLEMENTED for tensors of another type than F32.
absl::StatusOr<SafetensorsFile> ParseSafetensors(absl::string_view bytes);

// Puts the tensors of a file in the places that `layout` gives them.
// FAILED_PRECONDITION, naming the first tensor that is missing, unknown or of
// another shape; `values` is changed only by success.
// REQUIRES: values.size() == layout.size().
absl::Status CopyToFlat(const SafetensorsFile& file,
                        const ParameterLayout& layout, Flat& values);

}  // namespace monsoon
