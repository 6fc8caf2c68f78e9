// SPDX-License-Identifier: Apache-2.0
#include "models/zoo/zoo.h"

#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/spelling.h"
#include "base/status_macros.h"
#include "models/model.h"

namespace monsoon {

absl::Status RefuseSizes(absl::string_view model, absl::string_view sizes) {
  if (sizes.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("model \"", model, ":", sizes, "\": ", model,
                   " takes no sizes; write \"", model, "\""));
}

absl::StatusOr<Graph> MakeGraph(absl::string_view name, const Shape& example,
                                int classes) {
  const size_t colon = name.find(':');
  const absl::string_view base = name.substr(0, colon);
  const ModelEntry* entry = Registry<ModelEntry>::Get().Find(base);
  if (entry == nullptr) {
    return absl::InvalidArgumentError(UnknownName("model", base, ModelNames()));
  }
  if (classes < 2) {
    return absl::InvalidArgumentError(absl::StrCat(
        "model ", name, " for ", classes,
        " classes, expected at least 2; look at the data set's labels"));
  }
  if (entry->check != nullptr) RETURN_IF_ERROR(entry->check(example));
  if (colon == absl::string_view::npos) return entry->make("", classes);
  const absl::string_view sizes = name.substr(colon + 1);
  if (sizes.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "model \"", name, "\": nothing follows the colon; write \"", base,
        "\" for the model as it is"));
  }
  return entry->make(sizes, classes);
}

std::vector<std::string> ModelNames() {
  return Registry<ModelEntry>::Get().names();
}

std::string ModelDescription(absl::string_view name) {
  const ModelEntry* entry = Registry<ModelEntry>::Get().Find(name);
  MONSOON_CHECK(entry != nullptr, "the model exists");
  return entry->description;
}

}  // namespace monsoon
