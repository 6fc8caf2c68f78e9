// SPDX-License-Identifier: Apache-2.0
// Dense layers with ReLU between them. `mlp` is 1000-250: with 28x28 inputs and
// 10 classes 1,037,760 parameters. `mlp:500,500` gives other hidden sizes.
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"
#include "models/layers/layers.h"
#include "models/zoo/zoo.h"

namespace monsoon {
namespace {

constexpr int kMaxSize = 1 << 20;

absl::StatusOr<std::vector<int>> ParseSizes(absl::string_view text) {
  std::vector<int> sizes;
  for (absl::string_view part : absl::StrSplit(text, ',')) {
    int size = 0;
    if (!absl::SimpleAtoi(part, &size) || size < 1 || size > kMaxSize) {
      return absl::InvalidArgumentError(
          absl::StrCat("model \"mlp:", text, "\": hidden size \"", part,
                       "\", expected a whole number from 1 to ", kMaxSize,
                       "; write sizes as in \"mlp:500,500\""));
    }
    sizes.push_back(size);
  }
  return sizes;
}

absl::StatusOr<Graph> MakeMlp(absl::string_view sizes, int classes) {
  std::vector<int> hidden = {1000, 250};
  if (!sizes.empty()) {
    ASSIGN_OR_RETURN(hidden, ParseSizes(sizes));
  }
  Graph graph;
  int index = 1;
  for (int size : hidden) {
    graph.Add(absl::StrCat("fc", index++),
              Dense({.units = size, .relu = true}));
  }
  graph.Add(absl::StrCat("fc", index), Dense({.units = classes}));
  return graph;
}

const RegisterModel kRegistered(
    "mlp", {"dense 1000, ReLU, dense 250, ReLU, dense (mlp:500,500 gives other "
            "hidden sizes)",
            &MakeMlp});

}  // namespace
}  // namespace monsoon
