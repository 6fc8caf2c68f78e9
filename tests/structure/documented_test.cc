// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "base/filesystem.h"
#include "data/dataset.h"
#include "models/model.h"
#include "trainers/optimizer.h"
#include "trainers/trainer.h"

namespace monsoon {
namespace {

bool IsPartOfName(char c) { return absl::ascii_isalnum(c) || c == '-'; }

// Those of `names` that do not stand in `text` as words of their own.
std::vector<std::string> Missing(const std::string& text,
                                 const std::vector<std::string>& names) {
  std::vector<std::string> missing;
  for (const std::string& name : names) {
    bool found = false;
    for (size_t at = text.find(name); at != std::string::npos && !found;
         at = text.find(name, at + 1)) {
      const size_t end = at + name.size();
      found = (at == 0 || !IsPartOfName(text[at - 1])) &&
              (end == text.size() || !IsPartOfName(text[end]));
    }
    if (!found) missing.push_back(name);
  }
  return missing;
}

TEST_CASE("README names every trainer, model, optimizer and data set") {
  const absl::StatusOr<std::string> readme =
      RealFileSystem().Read(JoinPath(MONSOON_SOURCE_DIR, "README.md"));
  REQUIRE(readme.ok());
  const std::vector<std::string> none;
  CHECK(Missing(*readme, TrainerNames()) == none);
  CHECK(Missing(*readme, ModelNames()) == none);
  CHECK(Missing(*readme, OptimizerNames()) == none);
  CHECK(Missing(*readme, DatasetNames()) == none);
  CHECK(TrainerNames().size() >= 4);
  CHECK(ModelNames().size() >= 2);
  CHECK(OptimizerNames().size() >= 5);
  CHECK(!DatasetNames().empty());
}

TEST_CASE("A name inside of another word is not documented") {
  const std::string text = "`adagrad`, gem-like and mlp.";
  CHECK(Missing(text, {"adag", "gem", "mlp", "adagrad"}) ==
        std::vector<std::string>{"adag", "gem"});
}

}  // namespace
}  // namespace monsoon
