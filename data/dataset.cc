// SPDX-License-Identifier: Apache-2.0
#include "data/dataset.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/spelling.h"

namespace monsoon {

absl::StatusOr<Dataset> LoadDataset(absl::string_view spec, Split split,
                                    FileSystem& files, Part part) {
  const size_t colon = spec.find(':');
  const absl::string_view name = spec.substr(0, colon);
  const DatasetEntry* entry = Registry<DatasetEntry>::Get().Find(name);
  if (entry == nullptr) {
    return absl::InvalidArgumentError(
        UnknownName("data set", name, DatasetNames()));
  }
  if (colon == absl::string_view::npos) {
    return entry->load("", split, files, part);
  }
  const absl::string_view argument = spec.substr(colon + 1);
  if (argument.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "data \"", spec, "\" has nothing behind its colon; give \"", name,
        "\" or \"", name, ":DIR\""));
  }
  return entry->load(argument, split, files, part);
}

std::vector<std::string> DatasetNames() {
  return Registry<DatasetEntry>::Get().names();
}

void Gather(const Dataset& dataset, absl::Span<const int64_t> rows,
            float* input, int32_t* labels) {
  const int64_t size = dataset.example_size();
  for (size_t i = 0; i < rows.size(); ++i) {
    const uint8_t* image = dataset.images.data() + rows[i] * size;
    for (int64_t j = 0; j < size; ++j) {
      // A division, because x * (1 / 255.0f) is not always the nearest float.
      input[j] = static_cast<float>(image[j]) / 255.0f;
    }
    input += size;
    labels[i] = dataset.labels[static_cast<size_t>(rows[i])];
  }
}

}  // namespace monsoon
