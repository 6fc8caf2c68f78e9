// SPDX-License-Identifier: Apache-2.0
#include "worker/saved_model.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace monsoon {
namespace {

constexpr char kMembers[] = "members";

// `count` times the layout, as one; statistics are tensors like any other.
ParameterLayout Repeated(const ParameterLayout& layout, size_t count) {
  ParameterLayout repeated;
  for (size_t i = 0; i < count; ++i) {
    for (const TensorSpec& tensor : layout.tensors()) {
      repeated.Add(absl::StrCat(i, ".", tensor.name), tensor.shape,
                   TensorKind::kWeight);
    }
  }
  return repeated;
}

absl::StatusOr<size_t> CountMembers(const SafetensorsFile& file) {
  const auto it = file.metadata.find(kMembers);
  if (it == file.metadata.end()) return 1;
  size_t count = 0;
  if (absl::SimpleAtoi(it->second, &count) && count >= 2 &&
      count <= file.tensors.size()) {
    return count;
  }
  return absl::DataLossError(
      absl::StrCat("metadata members is \"", it->second,
                   "\", expected a whole number from 2 to the ",
                   file.tensors.size(), " tensors of the file"));
}

}  // namespace

std::string EncodeModel(const ParameterLayout& layout,
                        absl::Span<const Flat> members,
                        std::map<std::string, std::string> metadata) {
  if (members.size() == 1) {
    return EncodeSafetensors(layout, members.front(), metadata);
  }
  metadata[kMembers] = absl::StrCat(members.size());
  const ParameterLayout repeated = Repeated(layout, members.size());
  Flat values(repeated.size());
  for (size_t i = 0; i < members.size(); ++i) {
    const int64_t size = layout.size();
    values.Slice(static_cast<int64_t>(i) * size, size).CopyFrom(members[i]);
  }
  return EncodeSafetensors(repeated, values, metadata);
}

absl::StatusOr<std::vector<Flat>> DecodeModel(const SafetensorsFile& file,
                                              const ParameterLayout& layout) {
  ASSIGN_OR_RETURN(const size_t count, CountMembers(file));
  const ParameterLayout all = count == 1 ? layout : Repeated(layout, count);
  Flat values(all.size());
  RETURN_IF_ERROR(CopyToFlat(file, all, values));
  std::vector<Flat> members;
  for (size_t i = 0; i < count; ++i) {
    const int64_t size = layout.size();
    members.push_back(
        values.Slice(static_cast<int64_t>(i) * size, size).Clone());
  }
  return members;
}

}  // namespace monsoon
