// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/flat.h"
#include "base/layout.h"
#include "base/safetensors.h"

namespace monsoon {

// What a training has come to as a safetensors file: the tensors under the
// names of `layout`; those of several members as "0.NAME",
// "1.NAME", ..., with "members" in the metadata. REQUIRES: a member, each of
// layout.size() floats.
std::string EncodeModel(const ParameterLayout& layout,
                        absl::Span<const Flat> members,
                        std::map<std::string, std::string> metadata);
// The members of such a file, or one of a file without that word. Errors as
// CopyToFlat's; DATA_LOSS for a number of members that cannot be.
absl::StatusOr<std::vector<Flat>> DecodeModel(const SafetensorsFile& file,
                                              const ParameterLayout& layout);

}  // namespace monsoon
