// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/registry.h"
#include "models/graph.h"
#include "models/shape.h"

// The networks that can be named on a command line, one file each:
//
//   const RegisterModel kRegistered("mlp", {"...", &MakeMlp});
namespace monsoon {

struct ModelEntry {
  std::string description;  // one line, for --help
  // `sizes` is what follows the name and a colon in "mlp:500,500"; "" when
  // nothing does. INVALID_ARGUMENT when the model cannot take it.
  absl::StatusOr<Graph> (*make)(absl::string_view sizes, int classes);
  // Where layers cannot tell: what examples the network wants, as in
  // INVALID_ARGUMENT "model unet: ...". Null: any that its layers take.
  absl::Status (*check)(const Shape& example) = nullptr;
};

struct RegisterModel {
  RegisterModel(std::string name, ModelEntry entry) {
    Registry<ModelEntry>::Get().Add(std::move(name), std::move(entry));
  }
};

// INVALID_ARGUMENT where something follows the name of a model that takes no
// sizes.
absl::Status RefuseSizes(absl::string_view model, absl::string_view sizes);

// The network of that name; the errors are those of LayoutOf.
absl::StatusOr<Graph> MakeGraph(absl::string_view name, const Shape& example,
                                int classes);

}  // namespace monsoon
